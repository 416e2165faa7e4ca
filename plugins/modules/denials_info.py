#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller and asks the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: denials_info
short_description: Read what a host denied to an application, by clause, with the change that would allow it
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Reads what AppArmor, the system call filter, the policy's nftables table and the unit's memory and task limits denied
    since a cursor, from the journal, the kernel ring, C(/var/log/audit) and the kernel's counters. What two sources have
    counts once.
  - On the controller each denial is named by the clause of the policy behind it, and gets the smallest change of the
    policy that would allow it, together with what that change opens besides. A change is proposed only after it was
    applied to the policy in memory, the policy was resolved again with all its examples, and the act was found allowed.
  - In audit mode, denials are what enforcement would deny.
  - Changes nothing, on the host or in the policy.
options:
  policy:
    description: Name of the policy, or path of its file. It must have been applied on the host.
    type: str
    required: true
  policies_dirs:
    description: Folders on the controller with policies, searched before the collection's own.
    type: list
    elements: path
    default: []
  cursor:
    description:
      - The RV(cursor) of an earlier call for the same policy and host. Only what is new since is read.
      - Empty for all that the host still has. A text that is no cursor, or one of another host or policy, fails.
    type: str
    default: ''
  limit:
    description: How many lines of the journal one call reads, from 1 to 100000.
    type: int
    default: 5000
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
notes:
  - Needs root.
  - Text that programs chose is shown with its control characters spelt out. Arguments, environment and contents of files
    are never read.
  - The kernel's lines of the packet filter are limited to 5 in a second for each rule; the counters have the rest.
seealso:
  - module: bulkhead.fleet.denials_record
  - module: bulkhead.fleet.sandbox_info
"""

EXAMPLES = r"""
- name: What was denied, and why?
  bulkhead.fleet.denials_info:
    policy: nginx
  register: found

- name: Show it
  ansible.builtin.debug:
    msg: "{{ found.lines }}"

- name: Only what is new since then
  bulkhead.fleet.denials_info:
    policy: nginx
    cursor: "{{ found.cursor }}"
"""

RETURN = r"""
denials:
  description: >-
    One entry for each kind of denial, the earliest first. C(clause) is a clause id or C(no clause), C(note) says more
    about it. C(act) is the denied act in words, C(facts) the same in parts, C(mechanism) who denied it, C(enforced)
    false where it was only recorded. C(attribution) tells how the record is known to be the unit's (profile, slice,
    control_group, program, account, group_name). C(count), C(first) and C(last) (UTC, null where only a counter told),
    C(samples) with C(programs), C(commands) and C(peers). C(proposal) has C(change) (a piece of the policy, or null), C(yaml),
    C(opens), C(widens) (the clauses that differ afterwards) and C(why) (there is no change). C(fingerprint) is equal for
    equal denials of all hosts.
  type: list
  elements: dict
  returned: success
  sample:
    - clause: network.connect
      act: connect 192.0.2.7:443 (tcp)
      mechanism: nftables
      enforced: true
      count: 3
      first: '2026-11-25T20:11:02.114Z'
      last: '2026-11-25T20:11:06.201Z'
      proposal:
        yaml: "network: {connect: [{to: 192.0.2.7, ports: [tcp/443]}]}"
        opens: [every process of the service may send anything to tcp/443 at 192.0.2.7]
cursor:
  description: Where the next call goes on.
  type: str
  returned: success
since:
  description: C(cursor) or C(beginning).
  type: str
  returned: success
truncated:
  description: There is more than this call read or could keep. C(left_out) counts the denials that it could not keep.
  type: bool
  returned: success
sources:
  description: The sources, each C(read), C(absent) or C(failed).
  type: list
  elements: dict
  returned: success
unrecorded:
  description: Mechanisms of the active generation that leave no record, the clauses behind them and the reason.
  type: list
  elements: dict
  returned: success
notes:
  description: What else a reader has to know.
  type: list
  elements: str
  returned: success
lines:
  description: All of it for people.
  type: list
  elements: str
  returned: success
unit:
  description: The unit that the policy confines.
  type: str
  returned: success
mode:
  description: C(audit) or C(enforce), as the host has it.
  type: str
  returned: success
active:
  description: Digest of the active generation.
  type: str
  returned: success
"""
