# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a rollout again: find where it stands by journal and receipts, and give the plays what is left of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import date
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    bound,
    journal,
    plan,
    preflight,
    present,
    rebuild,
    resume,
    review,
    slices,
    state,
    store,
    takes,
    witness,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policies": {"type": "list", "elements": "str", "required": True},
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "mode": {"type": "str", "choices": ["audit", "enforce"]},
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str"},
    "receipt": {"type": "str"},
    "catch_up": {"type": "bool", "default": False},
    **preflight.WAVES,
    **preflight.TOLD,
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def begins(self, written: Options) -> bool:
        return not written.get("receipt")

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        slices.refuse(variables)
        place = store.Store(given["rollout_dir"])
        made = self._found(given, place) if given["receipt"] else self._checked(given, place)
        self._still_open(made, place, given["catch_up"])
        opened = {"rollout": made.rollout, "policies": list(made.policies), "order": list(made.order)}
        if not given["receipt"]:
            return opened
        receipts = {
            name: {one: answers.of(found, one) for one in made.policies}
            for name in made.order
            for found in [answers.result(variables["hostvars"], name, given["receipt"])]
        }
        work = self._catch_up if given["catch_up"] else self._resume
        return work(made, place, receipts, given, variables)

    def _found(self, given: Options, place: store.Store) -> plan.Plan:
        policy = store.policy_names(given["policies"])
        find = place.promoted if given["catch_up"] else place.latest
        made = place.read_plan(given["rollout"] or find(policy))
        bound.refuse_names(made, policy.split(plan.JOINED))
        return made

    def _checked(self, given: Options, place: store.Store) -> plan.Plan:
        """The same, unless what was given is wrong, or files are that may be others on this controller."""
        made = self.attempt(lambda: self._found(given, place))
        faults = [*preflight.settings(given, made.options if made else None)]
        faults += preflight.webhooks(given["webhooks"])
        faults += preflight.files(made.options.gates if made else ())
        return self.unless_wrong(made, faults)

    def _still_open(self, made: plan.Plan, place: store.Store, catch_up: bool) -> None:
        """Raises RolloutError where nothing of the rollout may go to any host any more."""
        if catch_up and not place.is_promoted(made.rollout):
            raise RolloutError(
                f"'{made.rollout}' has not passed, or was taken back: no host catches up to it.",
                "Leave out -e rollout= to catch up to the last one that passed.",
            )
        if not catch_up:
            state.refuse_closed(made, journal.read(place.journal(made.rollout)).records)

    def _resume(
        self,
        made: plan.Plan,
        place: store.Store,
        receipts: resume.Receipts,
        given: dict[str, Any],
        variables: dict[str, Any],
    ) -> dict[str, Any]:
        path = place.journal(made.rollout)
        records = journal.read(path).records
        there = {name for name in made.order if name in variables["hostvars"]}
        news = resume.reconcile(made, records, receipts, made.epoch)
        verdict = state.verdict(made, records)
        left = [name for name in resume.left(made, [*records, *news], receipts) if verdict != "abort"]
        owed = verdict == "abort" and any(one.owed for one in state.hosts(made, records))
        if not news and not left and not owed:
            return self._told(made, path, made.epoch, [], [f"{made.rollout}: nothing is left to do."])
        if left and rebuild.is_rebuilt(made):
            self._holds(made, [*records, *news], receipts)
        elif left:
            self._same_policies(made, given, variables)
        with self._taken(made, place, receipts, "resuming") as epoch:
            if not self._task.check_mode:
                detail = f"left: {', '.join(left)}"
                begun = journal.Record("resume", "begun", made.rollout, epoch, detail=detail)
                told = [begun, *resume.reconcile(made, records, receipts, epoch)]
                told += present.empty(made, left[0], there, epoch) if left else []
                journal.extend(path, told)
        waves = [made.wave(name) for name in left]
        lines = [f"{made.rollout} goes on with {review.count(len(waves), 'wave')}, epoch {epoch}"]
        lines += [f"  {wave.name}: {review.named(wave.hosts)}" for wave in waves]
        lines += [f"  by its receipt: {one.host} {one.policy} {one.outcome}" for one in news]
        if owed:
            lines.append("  it was aborted: what is owed goes back")
        lines += [f"  {name}: {present.GONE}" for wave in waves for name in wave.hosts if name not in there]
        lines += [f"  {text}" for text in witness.lines(receipts)]
        return self._told(made, path, epoch, waves, lines, there)

    def _catch_up(
        self,
        made: plan.Plan,
        place: store.Store,
        receipts: resume.Receipts,
        given: dict[str, Any],
        variables: dict[str, Any],
    ) -> dict[str, Any]:
        path = place.journal(made.rollout)
        dropped = takes.dropped(made, made.order, variables["hostvars"])
        ready, away, never = resume.behind(made, journal.read(path).records, receipts, dropped)
        later = {
            name: receipt["rollout"]
            for name in ready
            for policy, receipt in receipts[name].items()
            if receipt and (name, policy) not in dropped and not witness.fault(receipt)
            if place.stays(str(receipt.get("rollout") or ""), made)
        }
        ready = [name for name in ready if name not in later]
        lines = [f"{made.rollout}: {review.count(len(ready), 'host')} to catch up"]
        lines += [f"  {name}" for name in ready] + [f"  still away: {name}" for name in away]
        lines += [
            f"  {name} does not take {policy} any more, by its bulkhead_policies" for name, policy in never
        ]
        lines += [f"  {name}: has {rollout}, which came later and stays" for name, rollout in later.items()]
        lines += [f"  {text}" for text in witness.lines(receipts)]
        if not ready:
            return self._told(made, path, made.epoch, [], lines)
        self._same_policies(made, given, variables)
        waves = [plan.Wave(resume.CATCH_UP, tuple(ready))]
        with self._taken(made, place, receipts, "catching up with") as epoch:
            return self._told(made, path, epoch, waves, lines) | {"wave": resume.CATCH_UP}

    @contextmanager
    def _taken(
        self, made: plan.Plan, place: store.Store, receipts: resume.Receipts, what: str
    ) -> Iterator[int]:
        """A lock, and an epoch that shuts out what an earlier controller still has under way."""
        check = bool(self._task.check_mode)
        epochs = [int((one or {}).get("epoch") or 0) for own in receipts.values() for one in own.values()]
        held = place.locked(made.policy, os.getppid(), f"{what} {made.rollout}", made.rollout)
        with nullcontext() if check else held:
            yield place.next_epoch(made.policy, peek=check, seen=max([made.epoch, *epochs]))

    def _same_policies(self, made: plan.Plan, given: dict[str, Any], variables: dict[str, Any]) -> None:
        groups, today = GroupAddresses.of(variables), date.today()
        found = [
            compiled.load(name, given["policies_dirs"], groups, given["mode"], today)
            for name in given["policies"]
        ]
        bound.refuse_other(made, found)

    def _holds(self, made: plan.Plan, records: list[journal.Record], receipts: resume.Receipts) -> None:
        """Nobody knows the policy of a rebuilt rollout: it is judged where every host has it, nothing is applied."""
        if unlike := rebuild.unlike(made, records, receipts):
            raise RolloutError(
                f"'{made.rollout}' was rebuilt from receipts, and resuming only judges it: {'; '.join(unlike[:8])}.",
                "Rebuild it again when all hosts answer, roll it back, or plan a new rollout.",
            )

    def _told(
        self,
        made: plan.Plan,
        path: Path,
        epoch: int,
        waves: list[plan.Wave],
        lines: list[str],
        there: set[str] | None = None,
    ) -> dict[str, Any]:
        """``there``: the hosts that the play finds; left out, those of ``waves`` are all there."""
        found = {name for wave in waves for name in wave.hosts} if there is None else there
        order, serial = present.batches(waves, found)
        told = review.for_playbook(made, path, lines) | review.order(made, order)
        return told | {"epoch": epoch, "serial": serial}
