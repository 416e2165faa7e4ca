#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_status
short_description: Say how far a rollout is
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Reads plan and journal. Hosts are not asked.
attributes:
  check_mode:
    support: full
    description:
      - Changes nothing in any mode.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.policies
  - bulkhead.fleet.rollout.latest
"""

EXAMPLES = r"""
- name: How far is it?
  bulkhead.fleet.rollout_status:
    policies: [nginx]
    rollout_dir: /srv/rollouts
"""

RETURN = r"""
progress:
  description:
    - Wave, hosts done of all, denials, gate, seconds left, verdict.
  returned: success
  type: dict
hosts:
  description:
    - State of each host.
  returned: success
  type: dict
lines:
  description:
    - The same for people.
  returned: success
  type: list
  elements: str
"""
