#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_state
short_description: Say whether a wave of a rollout may begin
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Reads plan and journal. Never fails: what cannot be read is C(inconclusive), and nothing begins on that.
  - A wave does not begin where a policy is not as it was planned; that is written to the journal.
  - A wave that would begin outside of the plan's maintenance windows is paused, which is written to the journal.
options:
  host:
    description:
      - A host of the wave.
    type: str
    required: true
  wave:
    description:
      - Name of the wave, where the plan does not tell.
    type: str
  hosts:
    description:
      - The hosts that are at work.
    type: list
    elements: str
    default: []
  policies:
    description:
      - Names of the policies, or paths of their files, which have to be as they were planned; none are not looked at.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: none
    description:
      - Not meant for check mode, where no plan is written.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.reading
  - bulkhead.fleet.rollout.running
  - bulkhead.fleet.rollout.writing
"""

EXAMPLES = r"""
- name: May the wave begin?
  bulkhead.fleet.rollout_state:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    epoch: 3
    host: "{{ inventory_hostname }}"
  run_once: true
  register: so_far
"""

RETURN = r"""
verdict:
  description:
    - C(pass), C(abort), C(pause) or C(inconclusive), over the waves before this one.
  returned: success
  type: str
detail:
  description:
    - Why it is so, where the journal does not say it.
  returned: success
  type: str
lost:
  description:
    - What has failed already ends the rollout, so the wave need not soak.
  returned: success
  type: bool
wave:
  description:
    - Name of the wave.
  returned: success
  type: str
planned:
  description:
    - For each of O(hosts) what it may get, by policy; see O(bulkhead.fleet.rollout_host#module:state).
  returned: success
  type: dict
"""
