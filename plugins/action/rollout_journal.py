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
PLANNED = {
    "apply": lambda host: (host.from_digest, host.to_digest),
    "rollback": lambda host: (host.to_digest, host.from_digest),
}


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
                seen = observe.Outcome(state.INTENT)
            else:
                seen = OUTCOMES[given["phase"]](given["result"])
            # A task that failed or reached nobody names no generations: then the planned ones stand.
            from_digest, to_digest = PLANNED[given["phase"]](planned)
            record = journal.Record(
                phase=given["phase"],
                outcome=seen.outcome,
                rollout=plan.rollout,
                epoch=given["epoch"],
                wave=plan.wave_of(host),
                host=host,
                from_digest=seen.from_digest or from_digest,
                to_digest=seen.to_digest or to_digest,
                detail=seen.detail,
            )
            if not self._task.check_mode:
                record = journal.append(place.journal(plan.rollout), record)
        except RolloutError as error:
            raise AnsibleError(str(error), obj=self._task.args, help_text=error.help_text) from None
        return result | {"changed": False, "outcome": record.outcome, "seq": record.seq}
