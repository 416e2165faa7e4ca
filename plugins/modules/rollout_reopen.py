#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_reopen
short_description: Open a rollout again
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Finds where a rollout stands by its journal and by the hosts' receipts, and gives the plays what is left of
    it. A lock and a new epoch shut out what an earlier controller still has under way.
  - Where nothing is left it takes neither lock nor epoch and writes nothing.
  - Fails where the policy is not the one that the rollout was planned with.
options:
  receipt:
    description:
      - >-
        Name of the variable with each host's result of M(bulkhead.fleet.rollout_host) with
        O(bulkhead.fleet.rollout_host#module:operation=receipts). Without it only the names of the hosts are
        given.
    type: str
  catch_up:
    description:
      - Open the latest rollout that passed, for hosts that were away.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description:
      - Takes neither lock nor epoch and writes nothing.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.policies
  - bulkhead.fleet.rollout.reading
  - bulkhead.fleet.rollout.latest
"""

EXAMPLES = r"""
- name: What is left?
  bulkhead.fleet.rollout_reopen:
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
    - Epoch for what is left.
  returned: success
  type: int
order:
  description:
    - Hosts of the waves that are left.
  returned: success
  type: list
  elements: str
serial:
  description:
    - Sizes of these waves.
  returned: success
  type: list
  elements: int
lines:
  description:
    - The same for people.
  returned: success
  type: list
  elements: str
"""
