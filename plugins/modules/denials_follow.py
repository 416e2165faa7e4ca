#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: denials_follow
short_description: Keep what is new in the denials of hosts
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Appends an event for each kind of denial on each host to C(<denials_dir>/<policy>.jsonl), and keeps the
    cursors from which the next reading begins. Events are written before cursors.
options:
  policy:
    description:
      - Name of the policy, or the path of its file.
    type: str
    required: true
  denials_dir:
    description:
      - Folder for events and cursors.
    type: path
    required: true
  hosts:
    description:
      - Names of the hosts.
    type: list
    elements: str
    required: true
  result:
    description:
      - Name of the variable with each host's result of M(bulkhead.fleet.denials_info).
    type: str
    required: true
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
- name: Keep what is new
  bulkhead.fleet.denials_follow:
    policy: nginx
    denials_dir: /var/lib/bulkhead-denials
    hosts: "{{ ansible_play_hosts_all }}"
    result: seen
  run_once: true
"""

RETURN = r"""
events:
  description:
    - What is new.
  returned: success
  type: list
  elements: dict
silent:
  description:
    - Hosts that gave no answer, and why.
  returned: success
  type: dict
lines:
  description:
    - The same for people.
  returned: success
  type: list
  elements: str
"""
