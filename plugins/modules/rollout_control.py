#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_control
short_description: Abort, pause or promote a rollout from outside
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Writes a line that the running rollout obeys within one poll.
  - >-
    A promotion of a rollout that nobody runs lets the wave pass at which it stands: a person vouches for it, with
    name and reason in the journal. A wave that was never changed cannot be vouched for.
options:
  what:
    description:
      - What to ask for.
    type: str
    required: true
    choices: [abort, pause, promote]
  by:
    description:
      - Who asks. The default is the user who runs it.
    type: str
    default: ''
  reason:
    description:
      - Why, for the journal.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description:
      - Writes nothing.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.policies
  - bulkhead.fleet.rollout.latest
  - bulkhead.fleet.rollout.fleet
"""

EXAMPLES = r"""
- name: Pause
  bulkhead.fleet.rollout_control:
    policies: [nginx]
    rollout_dir: /srv/rollouts
    what: pause
    reason: the shop has a sale
"""

RETURN = r"""
running:
  description:
    - Whether a controller runs the rollout.
  returned: success
  type: bool
lines:
  description:
    - The same for people.
  returned: success
  type: list
  elements: str
"""
