# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.render on the controller: compile for the task's host or a named system and write the result."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils import render
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import compile as compiler
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled, host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses

SPEC: dict[str, dict[str, Any]] = {
    "policy": {"type": "str", "required": True},
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "system": {"type": "str"},
    "mode": {"type": "str", "choices": ["audit", "enforce"]},
    "dest": {"type": "path", "required": True},
}


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(argument_spec=SPEC)
        return {**result, **host.answer(lambda: self._render(options, task_vars or {}))}

    def _render(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        today = date.today()
        groups = GroupAddresses.of(variables)
        manifest = compiled.load(options["policy"], options["policies_dirs"], groups, options["mode"], today)
        system = options["system"]
        if system:
            name, found = system, render.reference(system, manifest)
        else:
            name = str(variables["inventory_hostname"])
            facts = host.conversation(self, options, variables, today).features(
                compiled.unit_of(manifest), compiled.paths_of(manifest)
            )
            found = features.from_data(facts)
        bundle = compiler.compile_bundle(manifest, found, today)
        folder = Path(options["dest"]) / manifest.policy / name
        try:
            changed = render.write(folder, render.files(bundle), check=bool(self._task.check_mode))
        except (OSError, render.RenderError) as problem:
            raise HostsError(f"Writing into '{folder}' failed: {problem}") from None
        return render.result(bundle, folder, changed)
