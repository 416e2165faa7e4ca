#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller and asks the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: denials_record
short_description: Let a host record what system call filters refuse
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - A filter of system calls, address families, namespaces or writable code that answers with an error is silent.
    This module sets C(SYSTEMD_LOG_SECCOMP=1) in the environment of the service manager, by one file of its own, and lets
    the manager read it. Filters of units that start afterwards then write one audit record for each refused call.
  - The switch is the whole host's, as the manager has none for a unit. Units that run keep their silent filters until
    they are restarted; this module restarts none.
options:
  state:
    description:
      - V(present) turns the records on. V(absent) turns them off for units that start afterwards, and removes the file.
        Units that run keep running either way.
    type: str
    choices: [present, absent]
    default: present
  persistent:
    description: Keep it over a reboot. Otherwise it ends with the next one.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Says whether something would change.
  diff_mode:
    support: none
    description: There is one file with one setting.
notes:
  - Needs root.
  - Each refused call then costs one audit record. The kernel limits what reaches its ring, not the calls.
seealso:
  - module: bulkhead.fleet.denials_info
"""

EXAMPLES = r"""
- name: Record refused calls until the next reboot
  bulkhead.fleet.denials_record:

- name: Silent again
  bulkhead.fleet.denials_record:
    state: absent
"""

RETURN = r"""
paths:
  description: The file that holds the setting.
  type: list
  elements: str
  returned: success
  sample: [/run/systemd/system.conf.d/zz-bulkhead-denials.conf]
"""
