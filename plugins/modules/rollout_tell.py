#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_tell
short_description: Tell others how far a rollout is
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - >-
    Posts a JSON object to webhooks and writes a text file for Prometheus. Never fails: what could not be told is
    a warning.
options:
  webhooks:
    description:
      - Addresses that get the object. They are not logged.
    type: list
    elements: str
    default: []
  metrics:
    description:
      - Folder of node_exporter's textfile collector.
    type: path
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
- name: Tell
  bulkhead.fleet.rollout_tell:
    rollout_dir: /srv/rollouts
    rollout: nginx-e0003
    webhooks: ["{{ chat_webhook }}"]
  no_log: true
"""

RETURN = r"""
told:
  description:
    - Everybody was told.
  returned: success
  type: bool
"""
