# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take one look at a soaking wave into the journal, and say whether it is to be looked at again. Never fails."""

from __future__ import annotations

import time
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
        now, begin = time.time(), watch.began(records, wave)
        if begin is None:
            raise RolloutError(f"No host of '{wave}' has changed yet.")
        polls = [watch.stamp(r.time) for r in records if r.phase == "poll" and r.wave == wave]
        last = max([begin, *polls])
        since = next(r.time for r in records if r.phase == "apply" and r.wave == wave)
        seen, base = (self._answers(made, given["hosts"], hostvars, given[side]) for side in ("seen", "base"))
        told = watch.exposure(seen, base, now - last, since)
        record = journal.Record("poll", "seen", made.rollout, given["epoch"], wave, exposure=told)
        found = watch.judge(made, (*records, record), wave)
        if found.line:
            told |= {"e_value": round(found.value, 3), "line": round(found.line, 3)}
        records = (*records, journal.append(path, record))
        over = gates.lost(made, records, wave, found)
        asked = next((what for what in ("abort", "pause", "promote") if state.asked(records, what)), "")
        return {
            "done": bool(over or asked or now - begin >= made.options.soak),
            "detail": found.detail,
            "sick": dict(found.sick),
            "e_value": round(found.value, 3),
        }

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
