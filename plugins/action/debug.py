# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.debug on the controller: checks the options, refuses hosts that are not Linux."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.module_utils import arguments
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import host


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(argument_spec=arguments.DEBUG)
        return {
            **result,
            **host.answer(lambda: host.read(self, options, task_vars or {}, "bulkhead.fleet.debug")),
        }
