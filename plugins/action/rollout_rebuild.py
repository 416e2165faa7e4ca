# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write plan and journal of the latest rollout anew, from the hosts' receipts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    journal,
    rebuild,
    review,
    state,
    store,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import JOINED, Plan

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policies": {"type": "list", "elements": "str", "required": True},
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str"},
    "fleet": {"type": "list", "elements": "str", "required": True},
    "receipt": {"type": "str", "required": True},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        place = store.Store(given["rollout_dir"])
        policies = store.policy_names(given["policies"]).split(JOINED)
        receipts, silent = {}, []
        for name in given["fleet"]:
            found = answers.result(variables["hostvars"], name, given["receipt"])
            receipts[name] = {policy: answers.of(found, policy) for policy in policies}
            silent += [(name, policy) for policy in rebuild.silent(found, policies)]
        latest, epoch = rebuild.latest(receipts)
        rollout = given["rollout"] or latest
        _refuse_policies(rollout, policies)
        plan, records = rebuild.rebuild(rollout, epoch, policies, receipts, journal.now(), silent)
        if not any(one.reachable for one in plan.hosts):
            raise RolloutError(f"No host has a receipt of '{rollout}'.", f"The latest is '{latest}'.")
        aside = self._write(place, plan, records, epoch)
        hosts = {plan.label(one.host, one.policy): one.name for one in state.hosts(plan, records)}
        mute = list(dict.fromkeys(name for name, _policy in silent))
        lines = [f"{rollout}: rebuilt from the receipts of {len(plan.order) - len(mute)} hosts"]
        lines += [f"  {name}: {word}" for name, word in hosts.items()]
        lines += [
            f"  no answer: {name}; it is owed until it answers, or rebuild again when it does"
            for name in mute
        ]
        everyone = variables.get("groups", {}).get("all", ())
        asked = {*given["fleet"], "localhost"}
        others = [name for name in everyone if name not in asked]
        if others:
            lines.append(f"  not asked: {review.named(others)}; a rollback of this does not know them")
        lines += [f"  what was rebuilt before is in {aside}"] if aside else []
        return {"changed": True, "rollout": rollout, "hosts": hosts, "silent": mute, "lines": lines}

    def _write(
        self, place: store.Store, made: Plan, records: list[journal.Record], epoch: int
    ) -> Path | None:
        """Where what was rebuilt before has gone to. Nothing else is ever replaced."""
        check, pid = bool(self._task.check_mode), os.getppid()
        if check:
            _refuse_folder(place, made.rollout)
            return None
        place.lock(made.policy, pid, f"rebuilding {made.rollout}")
        try:
            aside = place.set_aside(made.rollout) if _refuse_folder(place, made.rollout) else None
            place.next_epoch(made.policy, seen=epoch - 1)
            place.write_plan(made)
            journal.extend(place.journal(made.rollout), records)
        finally:
            place.unlock(made.policy, pid)
        return aside


def _refuse_policies(rollout: str, policies: list[str]) -> None:
    """Raises RolloutError where the rollout is one of other policies: a plan without them would forget their hosts."""
    own = rollout.rpartition("-e")[0].split(JOINED)
    if set(own) != set(policies):
        raise RolloutError(
            f"'{rollout}' is a rollout of {', '.join(own)}, and {', '.join(policies)} was named.",
            f"Write -e policy={','.join(own)}, or name another one with -e rollout=.",
        )


def _refuse_folder(place: store.Store, rollout: str) -> bool:
    """True where the folder holds what was rebuilt before, and no more. Raises RolloutError where there is more."""
    folder = place.folder(rollout)
    if not folder.exists():
        return False
    try:
        there, records = place.read_plan(rollout), journal.read(place.journal(rollout)).records
    except RolloutError as problem:
        raise RolloutError(
            f"'{folder}' is there and cannot be used, so nothing was rebuilt. {problem}",
            "Keep it as evidence: move it away, and rebuild.",
        ) from None
    if not rebuild.is_rebuilt(there):
        raise RolloutError(
            f"'{rollout}' is still in '{place.root}', so nothing was rebuilt.", "Resume it, or roll it back."
        )
    if not rebuild.is_unused(records):
        raise RolloutError(
            f"'{rollout}' was rebuilt already and has been worked with since, so nothing was rebuilt.",
            "Roll it back (hosts that are owed go back when they answer), or move its folder away, and rebuild.",
        )
    return True
