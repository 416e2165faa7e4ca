#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_host
short_description: Do one step of a rollout on a host
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Does one step for each policy of the rollout that concerns the host, one after the other, and keeps only what
    plan, gates and journal need of the answers.
  - >-
    A host is concerned by all policies, or by those that its variable C(bulkhead_policies) lists; where it has to go back from, and its
    receipts, do not depend on that variable.
  - When an apply fails, the policies after it are not begun on that host.
options:
  operation:
    description:
      - >-
        C(look) is an apply in check mode, C(apply) M(bulkhead.fleet.sandbox), C(probe) M(bulkhead.fleet.probe)
        with a survey, C(receipts) M(bulkhead.fleet.sandbox_info), C(back) goes back to an earlier generation.
        C(watch) reads health and denials and renews the lease of a change that soaks, C(first) reads them before
        anything changes, C(promote) ends the soak.
    type: str
    required: true
    choices: [look, apply, watch, probe, promote, receipts, back, first]
  accept:
    description:
      - The verdicts to go on with.
    type: list
    elements: str
    choices: [enforced, partial, waived]
    default: [enforced, partial, waived]
  confirm_within:
    description:
      - Seconds that the host waits for the confirmation before it reverts. From 5 to 86400.
    type: int
    default: 60
  lease:
    description:
      - >-
        With O(operation=apply), seconds that the change soaks, V(0) for none; with O(operation=watch), how many it gets
        from now on.
    type: int
    default: 0
  lapse:
    description:
      - What the host does when a lease is over, V(revert) the change or V(hold) it.
    type: str
    choices: [revert, hold]
    default: revert
  rollout:
    description:
      - Name of the rollout, for the receipts on the host.
    type: str
    default: ''
  epoch:
    description:
      - A host refuses an epoch lower than the highest that it has seen.
    type: int
    default: 0
  details:
    description:
      - With O(operation=look), say what changes in which file.
    type: bool
    default: false
  method:
    description:
      - With O(operation=probe), how to probe.
    type: str
    choices: [auto, reload, clone, none]
    default: none
  retries:
    description:
      - With O(operation=probe), how often health checks that fail are run again.
    type: int
    default: 0
  denials:
    description:
      - With O(operation=watch), read denials as well.
    type: bool
    default: false
  before:
    description:
      - With O(operation=watch), the result of the look before this one.
    type: dict
    default: {}
  applied:
    description:
      - With O(operation=watch) and O(operation=promote), the result of the apply.
    type: dict
    default: {}
  back:
    description:
      - With O(operation=back), for each policy C(from) and C(to).
    type: dict
    default: {}
  state:
    description:
      - >-
        With O(operation=apply), the name of the variable that holds what M(bulkhead.fleet.rollout_state) said. Its C(planned)
        has by host and policy what was planned: C(digest) of its generation, C(manifest) digest of the policy,
        C(fingerprint) of its features. Anything else is refused; with C(fingerprint), a host that is of another kind by
        now gets another generation of the same policy. A policy that is not in it is not applied.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description:
      - Changes nothing.
  diff_mode:
    support: none
    description: There is nothing to compare.
extends_documentation_fragment:
  - bulkhead.fleet.rollout.policies
  - bulkhead.fleet.rollout.reading
"""

EXAMPLES = r"""
- name: Apply two policies as a part of a rollout
  bulkhead.fleet.rollout_host:
    operation: apply
    policies: [nginx, redis]
    rollout: nginx+redis-e0003
    epoch: 3
    state: so_far
"""

RETURN = r"""
policies:
  description:
    - What the host answered, by policy.
  returned: success
  type: dict
reached:
  description:
    - Whether the host holds the new generation of any of the policies.
  returned: with O(operation=apply)
  type: bool
"""
