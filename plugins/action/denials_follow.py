# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what is new in the denials of hosts: one line of JSON each, and the cursors for the next time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials import follow

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy": {"type": "str", "required": True},
    "denials_dir": {"type": "path", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "result": {"type": "str", "required": True},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        hostvars = variables["hostvars"]
        answers = {
            name: hostvars[name].get(given["result"]) or {} for name in given["hosts"] if name in hostvars
        }
        policy = Path(given["policy"]).stem
        events, silent = follow.events(policy, answers)
        try:
            # First the events, then the cursors: what is written twice is better than what is never written.
            if events and not self._task.check_mode:
                folder = Path(given["denials_dir"])
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with (folder / f"{policy}.jsonl").open("a", encoding="utf-8") as stream:
                    stream.writelines(json.dumps(event) + "\n" for event in events)
            if not self._task.check_mode:
                follow.remember(Path(given["denials_dir"]) / policy, answers)
        except OSError as error:
            text = f"'{error.filename or given['denials_dir']}' cannot be written: {error.strerror}."
            raise AnsibleError(text, obj=self._task.args, help_text="Set denials_dir.") from None
        lines = [
            f"{e['host']}: {e['count']}x {e['act']} [{e['mechanism']}] {e['clause']}" for e in events
        ] + [f"{name}: no answer: {why}" for name, why in silent.items()]
        return {"changed": bool(events), "events": events, "silent": silent, "lines": lines}
