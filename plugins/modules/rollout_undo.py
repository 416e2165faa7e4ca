#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_undo
short_description: Find the hosts that a rollback has to visit
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    By the journal (every host that may have changed) and by the hosts' own receipts (every host whose
    active generation this rollout made): either may be lost.
  - With O(limit) it refuses to go on, naming the touched hosts that the limit leaves out.
options:
  limit:
    description:
      - What C(--limit) was given.
    type: str
  receipt:
    description:
      - Name of the variable with each host's result of M(bulkhead.fleet.rollout_host) with O(bulkhead.fleet.rollout_host#module:operation=receipts).
    type: str
  only_aborted:
    description:
      - Find no host unless a gate said abort.
    type: bool
    default: false
  take_over:
    description:
      - Take the lock and a new epoch, which shuts out what an earlier controller still has under way.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description:
      - Takes neither lock nor epoch.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.policies
  - bulkhead.fleet.rollout.latest
  - bulkhead.fleet.rollout.fleet
"""

EXAMPLES = r"""
- name: Who has to go back?
  bulkhead.fleet.rollout_undo:
    policies: [nginx]
    rollout_dir: /srv/rollouts
    receipt: receipt
"""

RETURN = r"""
rollout:
  description:
    - Id of the rollout.
  returned: success
  type: str
epoch:
  description:
    - Epoch for the rollback.
  returned: success
  type: int
order:
  description:
    - All hosts of the plan, or none with O(only_aborted).
  returned: success
  type: list
  elements: str
back:
  description:
    - >-
      For each host to visit, by policy, the generation to return to (C(from)), the one to leave (C(to)), and whether
      it shows that it was never changed (C(shown)).
  returned: success
  type: dict
lines:
  description:
    - The same for people.
  returned: success
  type: list
  elements: str
"""
