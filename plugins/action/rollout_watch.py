# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one look at a soaking wave into the journal, and say whether it is to be looked at again. Never fails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    gates,
    journal,
    plan,
    soaking,
    state,
    store,
    watch,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    "epoch": {"type": "int", "required": True},
    "wave": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "seen": {"type": "str", "required": True},
    "base": {"type": "str", "required": True},
    # Readings of the monotonic clock: when the soak began, and when the wave was last looked at.
    "began": {"type": "float"},
    "last": {"type": "float"},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        try:
            return self._watch(given, variables["hostvars"])
        except (RolloutError, KeyError, TypeError, ValueError) as error:
            # What cannot be watched is not watched: the gate finds no looks and says so.
            return {"done": True, "detail": str(error)}

    def _watch(self, given: dict[str, Any], hostvars: Any) -> dict[str, Any]:
        place = store.Store(given["rollout_dir"])
        made = place.read_plan(given["rollout"])
        path, wave = place.journal(made.rollout), given["wave"]
        records = journal.read(path).records
        begin = watch.began(records, wave)
        if begin is None:
            raise RolloutError(f"No host of '{wave}' has changed yet.")
        soaked, between = self._times(given, records, begin)
        since = next(r.time for r in records if r.phase == "apply" and r.wave == wave)
        seen, base = (self._answers(made, given["hosts"], hostvars, given[side]) for side in ("seen", "base"))
        told = watch.exposure(seen, base, between, since)
        record = journal.Record("poll", "seen", made.rollout, given["epoch"], wave, exposure=told)
        found = watch.judge(made, (*records, record), wave)
        if found.line:
            told |= {"e_value": round(found.value, 3), "line": round(found.line, 3)}
        records = (*records, journal.append(path, record))
        over = gates.lost(made, records, wave, found)
        asked = next((what for what in ("abort", "pause", "promote") if state.asked(records, what)), "")
        return {
            "done": bool(over or asked or soaking.over(made.options, found.looks, soaked)),
            "deep": soaking.deep(made.options, found.looks),
            "clock": time.monotonic(),
            "detail": found.detail,
            "sick": dict(found.sick),
            "e_value": round(found.value, 3),
        }

    def _times(
        self, given: dict[str, Any], records: Sequence[journal.Record], begin: float
    ) -> tuple[float, float]:
        """Seconds since the soak began, and since the last look. By the clock of the journal only where there is no
        other: that one can be set, and what it says must at least not be negative."""
        if given["began"] is not None:
            now, began = time.monotonic(), given["began"]
            # Where one run has several rollouts the last look may be one of the rollout before.
            return now - began, now - max(began, began if given["last"] is None else given["last"])
        now = time.time()
        polls = [watch.stamp(r.time) for r in records if r.phase == "poll" and r.wave == given["wave"]]
        return now - begin, max(0.0, now - max([begin, *polls]))

    def _answers(
        self, made: plan.Plan, hosts: list[str], hostvars: Any, variable: str
    ) -> dict[str, watch.Answer]:
        found = {}
        for name in hosts:
            result = answers.result(hostvars, name, variable)
            for one in made.of(name):
                answer = answers.of(result, one.policy)
                if answer is not None and not answer.get("skipped"):
                    found[made.label(name, one.policy)] = answer
        return found
