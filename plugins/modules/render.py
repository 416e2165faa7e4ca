#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: render
short_description: Write what a policy becomes on a host or on a named system
version_added: 0.1.0
description:
  - Compiles a policy and writes the artifacts, the verdict of every clause and the bundle into a folder of the controller.
  - Nothing is changed on any host. A clause that the system cannot enforce is C(refused) in the table; the task does not fail for it.
options:
  policy:
    description: Name of a policy, or a path to one.
    type: str
    required: true
  policies_dirs:
    description: Folders that are searched for policies before those of the collection.
    type: list
    elements: path
    default: []
  system:
    description:
      - A reference system such as C(debian12), C(debian13), C(windows2022) or C(macos15), or the name of an operating system
        (C(linux), C(windows), C(macos)), which stands for its newest reference.
      - Left out, the features of the task's host are asked for.
    type: str
  mode:
    description: Compile for this mode instead of the policy's own.
    type: str
    choices: [audit, enforce]
  dest:
    description: Folder on the controller. The files lie in O(dest) / policy / host or system.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Reports what would be written.
  diff_mode:
    support: none
    description: The result lists the files that differ.
author: The Bulkhead authors (@bulkhead)
"""

EXAMPLES = r"""
- name: See what the nginx policy becomes on Windows Server 2022
  bulkhead.fleet.render:
    policy: nginx
    system: windows2022
    dest: ./rendered
  delegate_to: localhost
"""

RETURN = r"""
dest:
  description: The folder of this host or system.
  returned: always
  type: str
files:
  description: Files that were written or removed, relative to RV(dest).
  returned: always
  type: list
  elements: str
digest:
  description: Digest of the generation that a host would get.
  returned: always
  type: str
counts:
  description: Number of clauses by verdict.
  returned: always
  type: dict
  sample: {"refused": 0, "partial": 9, "waived": 1, "enforced": 48}
table:
  description: The verdict table as lines, worst first.
  returned: always
  type: list
  elements: str
"""
