# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""End a rollout or a rollback: write the last line, give back the lock, say whether all is well."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, state, store, summary

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    "epoch": {"type": "int", "required": True},
    "rollback": {"type": "bool", "default": False},
    "wave": {"type": "str"},
}
FINAL = frozenset({"pass", "abort", *state.WENT_BACK})
GOOD = frozenset({"pass", "rolled_back"})


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        place = store.Store(given["rollout_dir"])
        plan = place.read_plan(given["rollout"])
        path = place.journal(plan.rollout)
        records = journal.read(path).records
        end = state.verdict(plan, records)
        if given["wave"]:
            end = state.judged(records).get(given["wave"], "inconclusive")
        if given["rollback"]:
            end = "owed" if any(one.owed for one in state.hosts(plan, records)) else "rolled_back"
        before = state.ended(records)
        if before in FINAL and not given["rollback"] and not given["wave"]:
            end = before  # nothing was left to do: it ended as it ended
        said = before == end and (not given["rollback"] or records[-1].phase == "end")
        # The end of a promoted rollout stands, however the hosts fare that catch up with it.
        if not self._task.check_mode and not said and not given["wave"]:
            journal.append(path, journal.Record("end", end, plan.rollout, given["epoch"]))
        if not self._task.check_mode:
            place.unlock(plan.policy, os.getppid())
        lines = summary.end_lines(plan, records, end, path, "catch_up" if given["wave"] else summary.RESUME)
        return {"good": end in GOOD, "outcome": end, "lines": lines}
