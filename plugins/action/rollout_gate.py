# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a wave for all of its hosts at once. Gives a verdict and never fails, so that the play goes on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
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
    observe,
    outside,
    proving,
    resume,
    state,
    store,
    takes,
    watch,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Wave

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    "epoch": {"type": "int", "required": True},
    "wave": {"type": "str", "required": True},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "apply": {"type": "str", "required": True},
    "probe": {"type": "str", "required": True},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        try:
            gate = self._judge(given, variables["hostvars"])
        except Exception as error:
            # A gate that failed its hosts would take them out of the rollback. Without its line in the journal
            # the wave was not judged, and what was not judged does not pass.
            # Of what is no error of ours only the type is told: its text may quote what a host or an address holds.
            what = f"What the hosts answered is malformed: {type(error).__name__}."
            gate = gates.Gate("inconclusive", str(error) if isinstance(error, RolloutError) else what)
        found = [f"{f.host}: {f.check}: {f.detail}" for f in gate.findings if not f.good]
        return {
            "verdict": gate.outcome,
            "detail": gate.detail,
            "findings": found,
            "exposure": gate.exposure,
        }

    def _judge(self, given: dict[str, Any], hostvars: Any) -> gates.Gate:
        place = store.Store(given["rollout_dir"])
        plan = place.read_plan(given["rollout"])
        # Hosts that catch up are in no wave of the plan; those of the plan are judged even where the play lost them.
        catching_up = resume.catches_up(plan, given["wave"])
        wave = Wave(given["wave"], tuple(given["hosts"])) if catching_up else plan.wave(given["wave"])
        path = place.journal(plan.rollout)
        records = journal.read(path).records
        failed = {one.host for one in state.failures(plan, records)} - set(wave.hosts)
        results = {
            name: [answers.result(hostvars, name, given[look]) for look in ("apply", "probe")]
            for name in wave.hosts
        }
        planned = {(one.name, one.policy): one.to_digest for one in plan.hosts}
        seen = [
            observe.observation(
                one,
                *(answers.of(result, one.policy) for result in results[one.host]),
                label=plan.label(one.host, one.policy),
                planned=planned[one.host, one.policy],
            )
            for one in state.hosts(takes.narrowed(plan, wave.name, wave.hosts, hostvars), records)
            if one.host in results
        ]
        asked = {what: state.asked(records, what) for what in ("pause", "abort")}
        said = {what: f"{record.detail}." if record else "" for what, record in asked.items()}
        # Who resumed after that pause has agreed to go on.
        stop = wave.name in plan.options.pause_after and not state.paused(records, wave.name)
        pause = f"Asked to pause after {wave.name}." if stop else said["pause"]
        about = {"rollout": plan.rollout, "wave": wave.name, "hosts": " ".join(wave.hosts)}
        judge = partial(
            gates.judge,
            wave.name,
            seen,
            failed_before=len(failed),
            max_failed=plan.options.max_failed,
            watched=watch.judge(plan, records, wave.name) if plan.options.poll else None,
            looks=bool(plan.options.poll),
        )
        aborted = _aborted(path)
        gate = judge(
            pause=pause,
            abort=said["abort"],
            ask=lambda: outside.ask(plan.options.gates, about, aborted),
        )
        if not said["abort"] and (late := aborted()):
            gate = judge(abort=f"{late}.")
        if gate.outcome in ("pass", "pause") and (open_ := proving.unproven(plan, records, wave.name)):
            gate = replace(gate, outcome="inconclusive", detail=f"{open_} {gate.detail}")
        if catching_up and gate.outcome == "abort":
            # The hosts of a rollout that has passed do not go back for one that was away.
            gate = replace(gate, outcome="inconclusive")
        record = journal.Record(
            "gate", gate.outcome, plan.rollout, given["epoch"], wave.name, detail=gate.detail
        )
        record = replace(record, exposure=gate.exposure)
        journal.append(path, record)
        return gate


def _aborted(path: Path) -> Callable[[], str]:
    """Who asked for an abort until now, or nothing; a journal that has not grown is not read again."""
    size, said = -1, ""

    def look() -> str:
        nonlocal size, said
        with suppress(OSError, RolloutError):
            if (now := path.stat().st_size) != size:
                found = state.asked(journal.read(path).records, "abort")
                size, said = now, found.detail if found else ""
        return said

    return look
