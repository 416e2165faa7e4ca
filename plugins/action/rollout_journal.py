# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write one line of the rollout's journal about this task's host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, observe, state, store
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    "epoch": {"type": "int", "required": True},
    "phase": {"type": "str", "required": True, "choices": ["apply", "rollback"]},
    "result": {"type": "dict"},
}
OUTCOMES = {"apply": observe.outcome, "rollback": observe.rollback_outcome}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        host = str((task_vars or {})["inventory_hostname"])
        try:
            place = store.Store(Path(given["rollout_dir"]).absolute())
            plan = place.read_plan(given["rollout"])
            planned = plan.host(host)
            if planned is None:
                raise RolloutError(f"Host '{host}' is not in the plan of '{plan.rollout}'.")
            if given["result"] is None:
                seen = observe.Outcome(state.INTENT, planned.from_digest, planned.to_digest)
            else:
                seen = OUTCOMES[given["phase"]](given["result"])
            record = journal.Record(
                phase=given["phase"],
                outcome=seen.outcome,
                rollout=plan.rollout,
                epoch=given["epoch"],
                wave=plan.wave_of(host),
                host=host,
                from_digest=seen.from_digest,
                to_digest=seen.to_digest,
                detail=seen.detail,
            )
            if not self._task.check_mode:
                record = journal.append(place.journal(plan.rollout), record)
        except RolloutError as error:
            raise AnsibleError(str(error), obj=self._task.args, help_text=error.help_text) from None
        return result | {"changed": False, "outcome": record.outcome, "seq": record.seq}
