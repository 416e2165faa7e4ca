# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.denials_record on the controller: checks the options, asks the host."""

from __future__ import annotations

from ansible_collections.bulkhead.fleet.plugins.module_utils import arguments
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import host


class ActionModule(host.HostAction):
    operation = "record"
    options = arguments.DENIALS_RECORD
