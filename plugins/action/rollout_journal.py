# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the journal's lines about all hosts of a batch: what is intended, or what came of it."""

from __future__ import annotations

from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    journal,
    observe,
    plan,
    present,
    state,
    store,
    takes,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    "epoch": {"type": "int", "required": True},
    "phase": {"type": "str", "required": True, "choices": ["apply", "rollback"]},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "back": {"type": "dict"},
    "result": {"type": "str"},
    "wave": {"type": "str"},
    "only_failed": {"type": "bool", "default": False},
}
OUTCOMES = {"apply": observe.outcome, "rollback": observe.rollback_outcome}
PLANNED = {
    "apply": lambda host: (host.from_digest, host.to_digest),
    "rollback": lambda host: (host.to_digest, host.from_digest),
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        place = store.Store(given["rollout_dir"])
        made = place.read_plan(given["rollout"])
        made = takes.narrowed(made, given["wave"] or "", given["hosts"], variables["hostvars"])
        records = [
            self._record(made, planned, given, variables)
            for name in given["hosts"]
            for planned in self._planned(made, name, given["back"])
        ]
        if given["phase"] == "apply" and given["result"] and not given["only_failed"]:
            hosts, wave = variables["hostvars"], given["wave"] or ""
            records += present.gone(made, wave, [n for n in made.order if n in hosts], given["epoch"])
        if given["only_failed"]:
            records = [record for record in records if record.outcome in state.FAILED]
        if not self._task.check_mode:
            records = journal.extend(place.journal(made.rollout), records)
        outcomes = {made.label(record.host, record.policy): record.outcome for record in records}
        return {"outcomes": outcomes}

    def _planned(
        self, made: plan.Plan, name: str, back: dict[str, Any] | None
    ) -> tuple[plan.PlannedHost, ...]:
        found = made.of(name)
        if not found:
            raise RolloutError(f"Host '{name}' is not in the plan of '{made.rollout}'.")
        return found if back is None else tuple(one for one in found if one.policy in back.get(name, {}))

    def _record(
        self, made: plan.Plan, planned: plan.PlannedHost, given: dict[str, Any], variables: dict[str, Any]
    ) -> journal.Record:
        seen = observe.Outcome(state.INTENT)
        if given["result"]:
            found = answers.result(variables["hostvars"], planned.name, given["result"])
            seen = OUTCOMES[given["phase"]](answers.of(found, planned.policy) or {"failed": True})
        entry = ((given["back"] or {}).get(planned.name) or {}).get(planned.policy) or {}
        if given["result"] and entry.get("shown"):
            seen = observe.Outcome("not_needed")
        if seen.outcome == "not_needed" and entry.get("later"):
            seen = observe.Outcome("owed", seen.from_digest, seen.to_digest, entry["later"])
        # A task that failed or reached nobody names no generations: then the planned ones stand.
        from_digest, to_digest = PLANNED[given["phase"]](planned)
        if entry:
            from_digest, to_digest = entry["to"] or from_digest, entry["from"]
        return journal.Record(
            phase=given["phase"],
            outcome=seen.outcome,
            rollout=made.rollout,
            epoch=given["epoch"],
            wave=given["wave"] or made.wave_of(planned.name),
            host=planned.name,
            policy=planned.policy,
            from_digest=seen.from_digest or from_digest,
            to_digest=seen.to_digest or to_digest,
            detail=seen.detail,
        )
