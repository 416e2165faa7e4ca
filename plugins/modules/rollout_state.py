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
    Reads plan and journal. Never fails: what cannot be read is C(inconclusive), and nothing begins on
    that.
options:
  rollout_dir:
    description:
      - >-
        Folder of plans, journals, epochs and locks, on the controller. It must outlive the controller's
        process.
    type: path
    required: true
  rollout:
    description:
      - Id of the rollout, such as C(nginx-e0003).
    type: str
    required: true
  wave:
    description:
      - Judge only the waves before this one.
    type: str
attributes:
  check_mode:
    support: full
    description:
      - Changes nothing in any mode.
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

EXAMPLES = r"""
- name: May the wave begin?
  bulkhead.fleet.rollout_state:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    wave: canary
  register: so_far
"""

RETURN = r"""
verdict:
  description:
    - C(pass), C(abort), C(pause) or C(inconclusive).
  returned: success
  type: str
detail:
  description:
    - Why it could not be read.
  returned: success
  type: str
lost:
  description:
    - What has failed already ends the rollout, so the wave need not soak.
  returned: success
  type: bool
"""
