#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_rebuild
short_description: Write plan and journal of a rollout anew from receipts
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    For a folder of rollouts that was lost. The rebuilt rollout holds the hosts that it touched, and those that did
    not answer, in one wave that nobody has judged: it can be rolled back, and resuming judges it.
  - >-
    Takes the lock. Fails where the rollout's folder is still there, unless it holds no more than what was rebuilt before;
    that one is set aside.
options:
  rollout:
    description:
      - Id of the rollout; left out, the latest that a receipt names.
    type: str
  fleet:
    description:
      - Names of the hosts.
    type: list
    elements: str
    required: true
  receipt:
    description:
      - >-
        Name of the variable with each host's result of M(bulkhead.fleet.rollout_host) with
        O(bulkhead.fleet.rollout_host#module:operation=receipts).
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description:
      - Writes nothing.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.policies
"""

EXAMPLES = r"""
- name: Rebuild
  bulkhead.fleet.rollout_rebuild:
    policies: [nginx]
    rollout_dir: /srv/rollouts
    fleet: [web1, web2]
    receipt: receipt
"""

RETURN = r"""
hosts:
  description:
    - State of each host.
  returned: success
  type: dict
silent:
  description:
    - Hosts that gave no answer.
  returned: success
  type: list
  elements: str
lines:
  description:
    - The same for people.
  returned: success
  type: list
  elements: str
"""
