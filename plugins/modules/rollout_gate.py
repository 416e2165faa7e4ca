#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_gate
short_description: Judge a wave of a rollout
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Runs once for all hosts of the wave. Gives a verdict and never fails, so that the play reaches its
    rollback.
  - >-
    A host is good when the apply succeeded, the generation is active, the service is up and did not
    restart since, its health checks pass again, and no probe or read-back speaks against a clause.
  - >-
    No data never passes: it is C(inconclusive) and stops the rollout where it stands.
options:
  wave:
    description:
      - Name of the wave.
    type: str
    required: true
  hosts:
    description:
      - Hosts that catch up, which are in no wave of the plan.
    type: list
    elements: str
    default: []
  apply:
    description:
      - Name of the variable with the result of M(bulkhead.fleet.rollout_host) with O(bulkhead.fleet.rollout_host#module:operation=apply).
    type: str
    required: true
  probe:
    description:
      - The same after the soak, with O(bulkhead.fleet.rollout_host#module:operation=probe).
    type: str
    required: true
attributes:
  check_mode:
    support: none
    description:
      - >-
        Not meant for check mode: it writes its line.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.running
  - bulkhead.fleet.rollout.writing
"""

EXAMPLES = r"""
- name: Judge the canary
  bulkhead.fleet.rollout_gate:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    epoch: 3
    wave: canary
    apply: applied
    probe: proof
"""

RETURN = r"""
verdict:
  description:
    - C(pass), C(abort), C(pause) or C(inconclusive).
  returned: success
  type: str
detail:
  description:
    - Why.
  returned: success
  type: str
findings:
  description:
    - What was bad or missing, by host.
  returned: success
  type: list
  elements: str
exposure:
  description:
    - >-
      What the verdict rests on: hosts, health checks, probes.
  returned: success
  type: dict
"""
