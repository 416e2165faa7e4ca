#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_plan
short_description: Plan a rollout, who changes when
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Orders the hosts by risk (host variable C(bulkhead_risk): C(critical), C(high), C(medium), C(low);
    without it C(medium)) and name, and cuts them into pilot, canary (one host of each kind of system that
    the pilot does not cover) and waves.
  - >-
    Takes the policy's lock for this run of C(ansible-playbook), gives out the next epoch, and writes the
    plan once with its hash.
  - Fails before any change where a host refused the policy in check mode.
options:
  author:
    description:
      - Who asks for the rollout. The default is the user who runs it.
    type: str
    default: ''
  fleet:
    description:
      - Names of the hosts.
    type: list
    elements: str
    required: true
  look:
    description:
      - Name of the variable that holds each host's result of M(bulkhead.fleet.rollout_host) with O(bulkhead.fleet.rollout_host#module:operation=look).
    type: str
    required: true
  pilot:
    description:
      - How many of the riskiest hosts change first. With V(0) the canaries come first.
    type: int
    default: 1
  waves:
    description:
      - >-
        Ends of the waves over the hosts after pilot and canary: a percentage (V(25)) or a count (V(5
        hosts)), or all that is left of an inventory group (V(group web)). Whoever is left comes last.
    type: list
    elements: raw
    default: [25, 100]
  max_failed:
    description:
      - Failed hosts, unreachable ones included, that all waves together may have.
    type: int
    default: 0
  soak:
    description:
      - Seconds between the change of a wave and its gate.
    type: int
    default: 10
  pause_after:
    description:
      - Names of waves after which the rollout stops although they passed.
    type: list
    elements: str
    default: []
  windows:
    description:
      - When a wave may begin, such as V(mon-fri 22:00-04:00). None means always.
    type: list
    elements: str
    default: []
  timezone:
    description:
      - Time zone of O(windows).
    type: str
    default: UTC
  poll:
    description:
      - Seconds between two looks at the hosts of a wave while it soaks; with V(0) there is one look at the end.
    type: int
    default: 0
  health_timeout:
    description:
      - Seconds that a look at a host may take; V(0) for no limit.
    type: int
    default: 0
  health_retries:
    description:
      - How often a host whose health checks fail is asked again before that counts.
    type: int
    default: 0
  breaker:
    description:
      - Percentage of a wave that may be unhealthy at once; above it nothing is asked again.
    type: int
    default: 50
  lease:
    description:
      - Seconds that a change soaks unless a look renews it; V(0) for none.
    type: int
    default: 0
  lapse:
    description:
      - What a host does when its lease is over, V(revert) or V(hold).
    type: str
    default: revert
  denials:
    description:
      - Whether denials are compared with those of hosts that have not changed.
    type: bool
    default: false
  alpha:
    description:
      - Probability of a false alarm by denials, over the whole rollout.
    type: float
    default: 0.01
  expected:
    description:
      - Denials per host and hour that are no reason to worry where no other host can be compared with.
    type: float
    default: 0.1
  gates:
    description:
      - Gates of one's own, each with C(command), C(url) or C(prometheus).
    type: list
    elements: dict
    default: []
  approvals:
    description:
      - How many people have to approve the plan before the first host changes.
    type: int
    default: 0
  approvers:
    description:
      - File that says who may approve, and whether policies have to be signed.
    type: path
    default: ''
attributes:
  check_mode:
    support: full
    description:
      - Gives the plan and writes nothing.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.policies
  - bulkhead.fleet.rollout.reading
"""

EXAMPLES = r"""
- name: Plan the rollout
  bulkhead.fleet.rollout_plan:
    policies: [nginx]
    rollout_dir: /srv/rollouts
    fleet: [web1, web2, web3]
    look: seen_in_check_mode
"""

RETURN = r"""
rollout:
  description:
    - Id of the rollout.
  returned: success
  type: str
epoch:
  description:
    - Its epoch.
  returned: success
  type: int
order:
  description:
    - Names of the hosts in the order of their change.
  returned: success
  type: list
  elements: str
serial:
  description:
    - Sizes of the waves.
  returned: success
  type: list
  elements: int
digest:
  description:
    - SHA-256 of the plan.
  returned: success
  type: str
journal:
  description:
    - Path of the journal.
  returned: success
  type: str
lines:
  description:
    - The plan for people.
  returned: success
  type: list
  elements: str
"""
