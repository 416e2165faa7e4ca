#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_watch
short_description: Take one look at a soaking wave into the journal
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Writes what was seen, judges all looks so far, and says whether to look again. Never fails: what could not be
    watched is missing at the gate, which does not pass on it.
options:
  wave:
    description:
      - Name of the wave.
    type: str
    required: true
  hosts:
    description:
      - Names of the hosts.
    type: list
    elements: str
    required: true
  seen:
    description:
      - >-
        Name of the variable with each host's result of M(bulkhead.fleet.rollout_host) with
        O(bulkhead.fleet.rollout_host#module:operation=watch).
    type: str
    required: true
  base:
    description:
      - The same of the hosts that they are compared with.
    type: str
    required: true
attributes:
  check_mode:
    support: none
    description:
      - Not meant for check mode, where no plan is written.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.running
  - bulkhead.fleet.rollout.writing
"""

EXAMPLES = r"""
- name: Take it into the journal
  bulkhead.fleet.rollout_watch:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    epoch: 3
    wave: canary
    hosts: "{{ ansible_play_batch }}"
    seen: seen
    base: base
  run_once: true
"""

RETURN = r"""
done:
  description:
    - There is no need for another look.
  returned: success
  type: bool
sick:
  description:
    - Hosts whose health checks fail, and how.
  returned: success
  type: dict
e_value:
  description:
    - Of the test of denials.
  returned: success
  type: float
detail:
  description:
    - The same for people.
  returned: success
  type: str
"""
