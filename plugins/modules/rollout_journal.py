#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_journal
short_description: Write one line of a rollout's journal about a host
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Without O(result) it writes the intent. The line is on disk before the task ends, so that the host may
    be touched after it.
  - With O(result) it writes what came of it.
options:
  rollout_dir:
    description:
      - >-
        Folder of plans, journals, epochs and locks, on the controller. It must outlive the controller's
        process.
    type: path
    required: true
  rollout:
    description:
      - Id of the rollout, such as C(nginx-e0003).
    type: str
    required: true
  epoch:
    description:
      - Epoch of the run that writes. Hosts refuse an epoch lower than the highest that they have seen.
    type: int
    required: true
  phase:
    description:
      - What happens to the host.
    type: str
    choices: [apply, rollback]
    required: true
  result:
    description:
      - Result of the task that changed the host.
    type: dict
attributes:
  check_mode:
    support: full
    description:
      - Writes nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: Journal the intent
  bulkhead.fleet.rollout_journal:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    epoch: 3
    phase: apply
"""

RETURN = r"""
outcome:
  description:
    - The outcome that was written.
  returned: success
  type: str
seq:
  description:
    - Number of the line.
  returned: success
  type: int
"""
