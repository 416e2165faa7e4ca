# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the rollout's actions on a folder of their own, as a playbook does."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader

NAME = "bulkhead.fleet.rollout_"

LOOK = {"policies": {"nginx": {"fingerprint": "x", "from": "old", "digest": "new", "changed": True}}}
BOTH = {"a": {"look": LOOK, "bulkhead_risk": "low"}, "b": {"look": LOOK, "bulkhead_risk": "high"}}


class Run:
    """Tasks over hosts a and b with a folder of rollouts of their own."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.rollouts = {"rollout_dir": str(work / "rollouts")}
        self.variables: dict[str, Any] = {}

    def play(self, task: dict[str, Any], host: str = "localhost", **facts: Any) -> dict[str, Any]:
        """The result of one task on ``host``; ``facts``: host -> variables. A raised error is a failed result."""
        parsed = Task()
        parsed.check_mode = bool(task.get("check_mode"))
        [(action_name, parsed.args)] = ((key, value) for key, value in task.items() if key != "check_mode")
        name = action_name.rpartition(".")[2]
        module = import_module(f"ansible_collections.bulkhead.fleet.plugins.action.{name}")
        action = module.ActionModule(
            parsed, connection_loader.get("local", PlayContext()), None, None, None, None
        )
        variables = {
            "inventory_hostname": host,
            "hostvars": {each: facts.get(each, {}) for each in ("a", "b")},
            "ansible_play_hosts_all": ["a", "b"],
            "groups": {"all": ["a", "b"]},
            **self.variables,
        }
        try:
            result: dict[str, Any] = action.run(task_vars=variables)
        except AnsibleError as error:
            return {"failed": True, "msg": f"{error}"}
        return result

    def plan(self, facts: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        given = {"policies": ["nginx"], "fleet": ["a", "b"], "look": "look", **self.rollouts, **arguments}
        return self.play({NAME + "plan": given}, **facts)

    def journal(self) -> list[dict[str, Any]]:
        path = self.work / "rollouts/nginx-e0001/journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]
