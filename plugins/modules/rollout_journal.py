#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_journal
short_description: Write lines of a rollout's journal about hosts
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Without O(result) it writes what is intended. The lines are on disk before the task ends, so that the hosts
    may be touched after it.
  - With O(result) it writes what came of it. One task writes for all hosts of a batch.
options:
  phase:
    description:
      - What happens to the hosts.
    type: str
    choices: [apply, rollback]
    required: true
  hosts:
    description:
      - Names of the hosts.
    type: list
    elements: str
    required: true
  back:
    description:
      - With O(phase=rollback), what M(bulkhead.fleet.rollout_undo) found.
    type: dict
  result:
    description:
      - Name of the variable with each host's result of M(bulkhead.fleet.rollout_host).
    type: str
  wave:
    description:
      - Name of the wave, where the plan does not tell.
    type: str
  only_failed:
    description:
      - Write only what did not succeed.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description:
      - Writes nothing.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.running
  - bulkhead.fleet.rollout.writing
"""

EXAMPLES = r"""
- name: Journal the intent
  bulkhead.fleet.rollout_journal:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    epoch: 3
    phase: apply
    hosts: "{{ ansible_play_batch }}"
  run_once: true
"""

RETURN = r"""
outcomes:
  description:
    - What was written, by host.
  returned: success
  type: dict
"""
