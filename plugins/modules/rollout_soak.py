#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_soak
short_description: Let a wave of a rollout soak
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Waits, and stops waiting within a second when somebody asks for an abort, a pause or a promotion. Never fails.
options:
  seconds:
    description:
      - How long.
    type: int
    required: true
attributes:
  check_mode:
    support: none
    description:
      - Not meant for check mode, where no plan is written.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.running
"""

EXAMPLES = r"""
- name: Soak
  bulkhead.fleet.rollout_soak:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    seconds: 600
"""

RETURN = r"""
asked:
  description:
    - C(abort), C(pause) or C(promote) where somebody asked for it.
  returned: success
  type: str
"""
