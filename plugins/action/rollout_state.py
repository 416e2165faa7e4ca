# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the journal whether a wave may begin. Never fails: what cannot be read is inconclusive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import gates, journal, state, store
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    "wave": {"type": "str"},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        detail, lost = "", False
        try:
            place = store.Store(Path(given["rollout_dir"]).absolute())
            plan = place.read_plan(given["rollout"])
            records = journal.read(place.journal(plan.rollout)).records
            verdict = state.verdict(plan, records, before=given["wave"])
            lost = bool(given["wave"]) and gates.lost(plan, records, given["wave"])
        except RolloutError as error:
            verdict, detail = "inconclusive", str(error)
        return result | {"changed": False, "verdict": verdict, "detail": detail, "lost": lost}
