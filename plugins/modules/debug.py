#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller and asks the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: debug
short_description: Open a sandbox for debugging, for a limited time
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Opens what a debugger or a profiler needs in the sandbox of one application. It closes by itself, also when the host
    reboots, when the controller is gone, and when a process of Bulkhead is killed.
  - The opening is an overlay in C(/run). The generation of the policy is not edited. A timer of systemd that closes it is
    armed before anything opens.
  - Only a policy with a confirmed generation can be opened. The next run of M(bulkhead.fleet.sandbox) closes it.
  - Who opened it, why, and when it closed stand in the receipts on the host.
options:
  policy:
    description: Name of the policy. It must have been applied on the host.
    type: str
    required: true
  state:
    description: V(open) opens it for O(duration). V(closed) ends it early.
    type: str
    choices: [open, closed]
    default: open
  openings:
    description:
      - What is opened; at least one.
      - V(ptrace) lets processes inside trace and read processes of their own user.
      - V(perf) lets processes inside count and sample their own events. Refused where C(kernel.perf_event_paranoid)
        forbids it to the whole host.
      - V(core_dumps) lets the service leave core dumps. They hold its secrets.
      - V(shell) prepares a shell inside of the sandbox. The service itself stays as closed as it is.
    type: list
    elements: str
    choices: [ptrace, perf, core_dumps, shell]
    default: []
  duration:
    description: How long, as V(90s), V(30m) or V(2h). From 10 seconds to 8 hours.
    type: str
    default: 30m
  by:
    description: Who opens it. Required to open.
    type: str
    default: ''
  reason:
    description: Why. Required to open.
    type: str
    default: ''
  restart:
    description:
      - V(auto) restarts the service where an opening needs it, now and once more when it closes. Check mode says so.
      - V(never) opens only what needs no restart, and refuses the rest. V(ptrace) and V(perf) are then for the shell only.
    type: str
    choices: [auto, never]
    default: auto
attributes:
  check_mode:
    support: full
    description: Says what would be opened, and whether the service would restart.
  diff_mode:
    support: full
    description: Shows the overlay's files.
notes:
  - Needs root.
  - A root user outside of the sandbox needs no opening to attach C(strace), C(gdb) or C(perf) to a process inside.
seealso:
  - module: bulkhead.fleet.sandbox
  - module: bulkhead.fleet.sandbox_info
"""

EXAMPLES = r"""
- name: A shell inside, for half an hour; the service does not restart
  bulkhead.fleet.debug:
    policy: nginx
    openings: [shell, ptrace]
    restart: never
    by: alice
    reason: "ticket 4711: workers hang"

- name: Core dumps of the next crash
  bulkhead.fleet.debug:
    policy: nginx
    openings: [core_dumps]
    duration: 2h
    by: alice
    reason: "ticket 4711: workers crash"

- name: Done
  bulkhead.fleet.debug:
    policy: nginx
    state: closed
"""

RETURN = r"""
state:
  description: V(open) or V(closed), V(refused) or V(reverted) where the task failed.
  type: str
  returned: always
debug:
  description: What is open, or would be; C(open), C(words), C(until), C(by), C(reason), C(clauses), C(left) in seconds.
  type: dict
  returned: success
restarted:
  description: Units that were restarted, or would be in check mode.
  type: list
  elements: str
  returned: success
notes:
  description: What a person should know; how to enter the shell, where cores go.
  type: list
  elements: str
  returned: success
"""
