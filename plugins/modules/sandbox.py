#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller and asks the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sandbox
short_description: Confine one application by its policy
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Compiles the policy on the controller for what this host can do, and brings the host to the result in one module call.
  - A clause that the host cannot enforce fails the task before any change, in check mode too, unless the policy waives it.
  - The new files are checked by the host's own parsers before they are installed. A guard on the host puts the former
    state back when the application's health checks fail, when the change is not confirmed over a fresh connection
    within O(confirm_within) seconds, when the controller dies, or when the host reboots before that.
  - Applying works on Linux hosts with systemd. For Windows and macOS policies are rendered, not applied.
options:
  policy:
    description:
      - Name of a policy in O(policies_dirs) or of one that the collection ships, or the path of a policy file.
    type: str
    required: true
  state:
    description:
      - V(present) confines the application. V(absent) removes the sandbox without a trace.
      - V(reverted) takes back a change that is pending, else goes back to the generation that was active before.
        An application that was well has to be well there, or the host stays where it is.
      - V(renewed) gives a change that soaks another O(lease); V(promoted) ends its soak and makes it final. Both need O(nonce).
    type: str
    choices: [present, absent, reverted, renewed, promoted]
    default: present
  mode:
    description: Overrides the policy's own mode.
    type: str
    choices: [audit, enforce]
  accept:
    description: The verdicts to go on with. Any other verdict of a clause fails the task before any change.
    type: list
    elements: str
    choices: [enforced, partial, waived]
    default: [enforced, partial, waived]
  policies_dirs:
    description: Directories to search for policies and baselines before those of the collection.
    type: list
    elements: path
    default: []
  confirm_within:
    description: Seconds that the host waits for the confirmation before it reverts. From 5 to 86400.
    type: int
    default: 60
  lease:
    description:
      - Seconds that a confirmed change soaks; V(0) for none. Unless it is renewed or promoted before, O(lapse) says what
        the host does then by itself. A reboot ends a lease.
    type: int
    default: 0
  lapse:
    description: What the host does when a lease is over, V(revert) the change or V(hold) it.
    type: str
    choices: [revert, hold]
    default: revert
  nonce:
    description: With O(state=renewed) and O(state=promoted), the C(nonce) that the apply gave.
    type: str
    default: ''
  restart:
    description: Restart the application when its confinement changed and it is running.
    type: bool
    default: true
  rollout:
    description: Name of the rollout, for the receipts on the host.
    type: str
    default: ''
  epoch:
    description: A host refuses an epoch lower than the highest that it has seen.
    type: int
    default: 0
  from:
    description: With O(state=reverted), the digest of the generation to go back to; empty for no sandbox at all.
    type: str
  to:
    description: With O(state=reverted), the digest to leave; nothing is changed where another one is active.
    type: str
    default: ''
attributes:
  check_mode:
    support: full
    description: Compiles, judges and compares without changing anything.
  diff_mode:
    support: full
    description: Shows every file before and after.
extends_documentation_fragment: []
notes:
  - A sandbox that is open for debugging (M(bulkhead.fleet.debug)) is closed first, and C(reasons) says so.
seealso:
  - module: bulkhead.fleet.sandbox_info
"""

EXAMPLES = r"""
- name: Confine nginx by the policy that the collection ships
  bulkhead.fleet.sandbox:
    policy: nginx

- name: Only watch what an own policy would deny
  bulkhead.fleet.sandbox:
    policy: shop
    policies_dirs: ["{{ playbook_dir }}/policies"]
    mode: audit

- name: Nothing but what is fully enforced or waived
  bulkhead.fleet.sandbox:
    policy: nginx
    accept: [enforced, waived]

- name: Let the application go
  bulkhead.fleet.sandbox:
    policy: nginx
    state: absent
"""

RETURN = r"""
state:
  description: V(unchanged), V(confirmed), V(soaking), V(absent), V(reverted), V(revert_failed) or V(refused).
  type: str
  returned: always
digest:
  description: Digest of the generation that the host has, or would get in check mode. Empty for none.
  type: str
  returned: success
from:
  description: Digest of the generation that was active before.
  type: str
  returned: success
fingerprint:
  description: Fingerprint of the host features that the policy was compiled for.
  type: str
  returned: when state is present
features_name:
  description: The host for people, with the versions that matter.
  type: str
  returned: when state is present
verdicts:
  description: For each clause of the policy its C(status), C(mechanisms) and C(detail).
  type: dict
  returned: when state is present
nonce:
  description: Names the change, for O(state=renewed) and O(state=promoted).
  type: str
  returned: when state is soaking
restarted:
  description: Units that were restarted, or would be in check mode.
  type: list
  elements: str
  returned: success
reasons:
  description: What was not as it should be.
  type: list
  elements: str
  returned: when state is present
application:
  description: State of the application's unit before the change. One that is not running is left so.
  type: str
  returned: when state is present
note:
  description: What is wrong with the application after it went back, where something was before as well.
  type: str
  returned: when O(state=reverted) and the application was unwell before
generation:
  description: Directory of the generation on the host.
  type: str
  returned: when state is present
"""
