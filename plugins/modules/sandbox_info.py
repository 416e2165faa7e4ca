#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller and asks the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sandbox_info
short_description: Read from a host which policies it is under
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Reads the host's own records, and compares what is installed with them. Changes nothing.
options:
  policy:
    description: Only this policy; its facts are then at the top of the result as well. Empty for all policies.
    type: str
    default: ''
  health:
    description: Run the health checks of the active generation once more.
    type: bool
    default: false
  features:
    description: Collect what the host can do as well.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
seealso:
  - module: bulkhead.fleet.sandbox
  - module: bulkhead.fleet.debug
"""

EXAMPLES = r"""
- name: Which sandboxes does the host have, and are they whole?
  bulkhead.fleet.sandbox_info:
  register: sandboxes

- name: Refuse to go on where somebody has changed them
  ansible.builtin.assert:
    that: sandboxes.policies | dict2items | map(attribute='value.drift') | flatten | length == 0
"""

RETURN = r"""
policies:
  description: >-
    For each policy C(active) (digest), C(version), C(mode), C(unit), C(state) (none, applying, pending,
    reverting, confirmed, unconfirmed), C(pending), C(rollout), C(epoch), C(debug), C(drift), C(damage), C(receipts), C(recent) (the last receipts),
    C(service) and C(health). C(debug) says whether the sandbox is open for debugging, what, until when, by whom and why.
    C(damage) names what of the host's records is not to the byte what was written. C(drift) is a list of C(what), C(why), C(clauses) and
    C(repair), which is what the next apply does about it.
  type: dict
  returned: always
"""
