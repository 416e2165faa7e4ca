#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_approve
short_description: Approve the plan of a rollout
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Shows the plan, and with O(key) signs its hash with C(ssh-keygen -Y sign). The approval is written beside the
    plan.
  - >-
    Fails where the approval would not count, and says why. Somebody who approves does not need the rights to
    change hosts, only to write to O(rollout_dir).
options:
  by:
    description:
      - Name of the approver in the file of allowed signers.
    type: str
    required: true
  key:
    description:
      - The approver's ssh key; a public one where ssh-agent has the private one.
    type: path
  hours:
    description:
      - For how long the approval is good.
    type: int
    default: 24
attributes:
  check_mode:
    support: full
    description:
      - Shows the plan and signs nothing.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.policies
  - bulkhead.fleet.rollout.latest
"""

EXAMPLES = r"""
- name: Approve
  bulkhead.fleet.rollout_approve:
    policies: [nginx]
    rollout_dir: /srv/rollouts
    by: alice
    key: ~/.ssh/id_ed25519
"""

RETURN = r"""
digest:
  description:
    - Hash of the plan.
  returned: success
  type: str
lines:
  description:
    - The plan for people.
  returned: success
  type: list
  elements: str
"""
