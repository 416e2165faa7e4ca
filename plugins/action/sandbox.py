# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.sandbox on the controller: compile, hand the bytes to the host, confirm over a new connection."""

from __future__ import annotations

from datetime import date
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.module_utils import arguments
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled, host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _checked, options = self.validate_argument_spec(argument_spec=arguments.SANDBOX)
        return {**result, **host.answer(lambda: self._converge(options, variables))}

    def _converge(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        today = date.today()
        talk = host.conversation(self, options, variables, today)
        if options["state"] == "absent":
            return talk.absent(options["policy"])
        if options["state"] in ("renewed", "promoted"):
            return talk.leased(options["policy"], options["nonce"], options["state"])
        if options["state"] == "reverted":
            return talk.reverted(options["policy"], options["from"], options["to"])
        groups = GroupAddresses.of(variables)
        manifest = compiled.load(options["policy"], options["policies_dirs"], groups, options["mode"], today)
        return talk.present(manifest)
