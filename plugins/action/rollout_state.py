# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read from the journal whether a wave may begin. Never fails: what cannot be read is inconclusive."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    FAULTS,
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    approval,
    baselines,
    bound,
    gates,
    journal,
    present,
    state,
    store,
    takes,
    windows,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Plan

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    "host": {"type": "str", "required": True},
    "epoch": {"type": "int", "required": True},
    "wave": {"type": "str"},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "policies": {"type": "list", "elements": "str", "default": []},
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "mode": {"type": "str", "choices": ["audit", "enforce"]},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        try:
            return self._state(given, variables)
        except RolloutError as error:
            return {"verdict": "inconclusive", "detail": str(error), "lost": False}

    def _not_yet(self, plan: Plan, place: store.Store) -> str:
        """Why a wave must not begin now, or nothing: approvals are checked before each one."""
        now = datetime.now(UTC)
        folder = place.folder(plan.rollout) / "approvals"
        found, missing, text = approval.state(plan, folder, now, plan.options.approvers)
        if missing:
            stale = approval.changed(plan, plan.options.approvers)
            how = "" if stale else " Approve it with bulkhead.fleet.approve."
            return f"Waits for {missing} more: {text} Plan {plan.digest}.{how}"
        return windows.closed(plan.options.windows, plan.options.timezone, now)

    def _amiss(self, plan: Plan, wave: str, given: dict[str, Any], variables: dict[str, Any]) -> str:
        """Why nothing of this plan may go to these hosts, or nothing: a policy may be edited while a rollout runs."""
        groups, today = GroupAddresses.of(variables), date.today()
        if stray := present.stray(plan, wave, given["hosts"]):
            return stray
        try:
            bound.refuse_other(
                plan,
                [
                    compiled.load(name, given["policies_dirs"], groups, given["mode"], today)
                    for name in given["policies"]
                ],
            )
        except FAULTS as problem:
            return " ".join(text for text in (str(problem), getattr(problem, "help_text", "")) if text)
        return ""

    def _state(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        place = store.Store(given["rollout_dir"])
        plan = place.read_plan(given["rollout"])
        wave = given["wave"] or plan.wave_of(given["host"])
        records = journal.read(place.journal(plan.rollout)).records
        verdict, detail = state.verdict(plan, records, before=wave if wave in plan.names else None), ""
        if state.closed(records):
            verdict, detail = "inconclusive", f"{plan.rollout} was rolled back: it does not go on."
        if verdict == "pass" and (detail := self._amiss(plan, wave, given, variables)):
            verdict = "inconclusive"
            record = journal.Record("gate", verdict, plan.rollout, given["epoch"], wave, detail=detail)
            journal.append(place.journal(plan.rollout), record)
        began = state.begun(records, wave, None if wave in plan.names else given["epoch"])
        if verdict == "pass" and not began:
            detail = self._not_yet(plan, place)
            if detail:
                verdict = "pause"
                record = journal.Record("gate", "pause", plan.rollout, given["epoch"], wave, detail=detail)
                journal.append(place.journal(plan.rollout), record)
        baseline = baselines.pairs(plan, wave) if plan.options.denials else {}
        concerned = takes.narrowed(plan, wave, given["hosts"], variables.get("hostvars", {}))
        return {
            "verdict": verdict,
            "detail": detail,
            "lost": gates.lost(plan, records, wave),
            "rollout": plan.rollout,
            "policies": list(plan.policies),
            "epoch": given["epoch"],
            "wave": wave,
            "soak": plan.options.soak,
            "poll": plan.options.poll,
            "clock": time.monotonic(),
            "timeout": plan.options.health_timeout,
            "retries": plan.options.health_retries,
            "lease": plan.options.lease,
            "lapse": plan.options.lapse,
            "denials": plan.options.denials,
            "planned": bound.orders(concerned, given["hosts"]),
            "baseline": baseline,
        }
