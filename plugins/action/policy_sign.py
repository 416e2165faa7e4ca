# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign a resolved policy, so that rollouts know its author."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import approval, signatures

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy": {"type": "str", "required": True},
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "key": {"type": "path", "required": True},
    "signature": {"type": "path", "required": True},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        groups = GroupAddresses.of(variables)
        manifest = compiled.load(given["policy"], given["policies_dirs"], groups, None, date.today())
        said = approval.policy_statement(manifest.policy, manifest.version, manifest.digest)
        if not self._task.check_mode:
            signature = signatures.sign(said, Path(given["key"]), signatures.POLICY)
            Path(given["signature"]).write_bytes(signature)
        return {"changed": True, "digest": manifest.digest, "signed": said.decode().splitlines()}
