# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.denials_info on the controller: asks the host, and names the clause behind each denial."""

from __future__ import annotations

from datetime import date
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.module_utils import arguments
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.explain import explain, read_policy
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _checked, options = self.validate_argument_spec(argument_spec=arguments.DENIALS_INFO)
        return {**result, **host.answer(lambda: self._explained(options, variables))}

    def _explained(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        groups = GroupAddresses.of(variables)
        policy = read_policy(options["policy"], options["policies_dirs"], groups, date.today())
        wish = {"policy": policy.manifest.policy, "cursor": options["cursor"], "limit": options["limit"]}
        answer = host.ask(self, "denials", wish, variables)
        if answer.get("failed"):
            raise HostsError(str(answer.get("msg", "the module failed.")), state="")
        return explain(answer, policy)
