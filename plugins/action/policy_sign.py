# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign a resolved policy, so that rollouts know its author."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import approval, signatures
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy": {"type": "str", "required": True},
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "key": {"type": "path", "required": True},
    "signature": {"type": "path", "required": True},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            return result | self._sign(given, task_vars or {})
        except (RolloutError, PolicyError, HostsError, OSError) as error:
            help_text = getattr(error, "help_text", "")
            raise AnsibleError(str(error), obj=self._task.args, help_text=help_text) from None

    def _sign(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        groups = GroupAddresses(variables.get("groups", {}), variables.get("hostvars", {}))
        manifest = compiled.load(given["policy"], given["policies_dirs"], groups, None, date.today())
        said = approval.policy_statement(manifest.policy, manifest.version, manifest.digest)
        if not self._task.check_mode:
            signature = signatures.sign(said, Path(given["key"]), signatures.POLICY)
            Path(given["signature"]).write_bytes(signature)
        return {"changed": True, "digest": manifest.digest, "signed": said.decode().splitlines()}
