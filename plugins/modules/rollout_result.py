#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_result
short_description: End a rollout or a rollback
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Writes the last line of the journal, gives back the lock, and says whether every wave passed or, for a
    rollback, every touched host is back. A play that ends with it has to fail where RV(good) is false, so
    that the exit code tells.
options:
  rollback:
    description:
      - This ends a rollback that was asked for, not a rollout.
    type: bool
    default: false
  wave:
    description:
      - Say how this wave ended, of hosts that catch up; the end of the rollout stands.
    type: str
attributes:
  check_mode:
    support: full
    description:
      - Writes nothing.
extends_documentation_fragment:
  - bulkhead.fleet.rollout
  - bulkhead.fleet.rollout.running
  - bulkhead.fleet.rollout.writing
"""

EXAMPLES = r"""
- name: End with the truth
  bulkhead.fleet.rollout_result:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    epoch: 3
  register: ended
"""

RETURN = r"""
outcome:
  description:
    - C(pass), C(abort), C(pause), C(inconclusive), C(rolled_back) or C(owed).
  returned: success
  type: str
good:
  description:
    - Whether the outcome is C(pass) or C(rolled_back).
  returned: success
  type: bool
lines:
  description:
    - Hosts by state, gates, what is owed, where the journal is.
  returned: success
  type: list
  elements: str
"""
