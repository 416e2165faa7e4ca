# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of rollouts: one per rollout with plan and journal; per policy an epoch and a lock (see ``locks``).

``<policy>.epoch`` is the last epoch given out, ``<rollout>/plan.json`` is written once,
``<rollout>/journal.jsonl`` only grows.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from . import bound, journal, lasting, locks, state
from .errors import RolloutError
from .plan import JOINED, Plan, from_data, to_data

# Several policies of one rollout are joined by "+"; a name of a file has at most 255 bytes.
_ROLLOUT = re.compile(
    r"(?P<policies>[A-Za-z0-9][A-Za-z0-9_.-]{0,62}(?:\+[A-Za-z0-9][A-Za-z0-9_.-]{0,62})*)-e(?P<epoch>\d{4,})"
)
_LONGEST = 200
# No fleet has had so many rollouts since its folder was lost: who says so would leave no epochs to the others.
_LEAP = 1_000_000
# Policies that are named where there is no rollout of the one asked for.
_NAMED = 5


class Store(locks.Locks):
    """With the locks of its policies. Raises RolloutError for everything that the file system refuses."""

    # --- rollouts ---

    def folder(self, rollout: str) -> Path:
        if not _ROLLOUT.fullmatch(rollout):
            raise RolloutError(f"'{rollout}' is no rollout id.", "They look like 'nginx-e0003'.")
        return self.root / rollout

    def journal(self, rollout: str) -> Path:
        return self.folder(rollout) / "journal.jsonl"

    @property
    def generations(self) -> Path:
        """Folder of the policies that generations were made of."""
        return self.root / ".generations"

    def latest(self, policy: str) -> str:
        """The id of the latest rollout of ``policy`` (or of all policies joined by "+") that has a plan."""
        wanted = {locks.checked(name) for name in policy.split(JOINED)}
        found = [
            (epoch, name)
            for epoch, name, policies in self._rollouts()
            if wanted <= policies and (self.root / name / "plan.json").is_file()
        ]
        if not found:
            raise RolloutError(f"No rollout of '{policy}' is in '{self.root}'.", self._others(policy))
        return max(found)[1]

    def promoted(self, policy: str) -> str:
        """The id of the latest rollout of ``policy`` that passed and was not rolled back since."""
        wanted = {locks.checked(name) for name in policy.split(JOINED)}
        found = sorted(((n, name) for n, name, own in self._rollouts() if wanted <= own), reverse=True)
        for _epoch, name in found:
            if self.journal(name).exists() and self.is_promoted(name):
                return name
        raise RolloutError(
            f"No rollout of '{policy}' in '{self.root}' has passed, so there is nothing to catch up to.",
            "" if found else self._others(policy),
        )

    def is_promoted(self, rollout: str) -> bool:
        """Whether it passed, and nobody took it back since."""
        records = journal.read(self.journal(rollout)).records
        return state.ended(records) == "pass" and not state.closed(records)

    def stays(self, rollout: str, after: Plan) -> bool:
        """Whether ``rollout`` came after that plan, and was neither aborted nor taken back as far as is known here."""
        match = _ROLLOUT.fullmatch(rollout)
        if not match or int(match["epoch"]) <= after.epoch:
            return False
        path = self.journal(rollout)
        records = journal.read(path).records if path.exists() else ()
        return not (state.aborted(records) or state.closed(records))

    def _others(self, policy: str) -> str:
        """What to do where there is no rollout of ``policy``: maybe its name was misspelt."""
        known = {
            name
            for _epoch, rollout, policies in self._rollouts()
            if (self.root / rollout / "plan.json").is_file()
            for name in policies
        }
        near = ", ".join(difflib.get_close_matches(policy, sorted(known), _NAMED, 0))
        return (
            f"There are some of {near}. Write one of these, or set rollout_dir."
            if near
            else "Set rollout_dir."
        )

    def _rollouts(self) -> Iterator[tuple[int, str, set[str]]]:
        """(epoch, id, policies) of every folder of a rollout."""
        for entry in self.root.iterdir() if self.root.is_dir() else ():
            if match := _ROLLOUT.fullmatch(entry.name):
                yield int(match["epoch"]), entry.name, set(match["policies"].split(JOINED))

    def write_plan(self, plan: Plan) -> None:
        """Write the plan with its hash, once; a second time is refused."""
        folder = self.folder(plan.rollout)
        content = json.dumps({"digest": plan.digest, "plan": to_data(plan)}, indent=2, sort_keys=True)
        with lasting.faults(folder):
            folder.mkdir(mode=0o700)
            # Before the plan, and empty: whoever finds a plan without a journal knows that one was lost.
            lasting.write(folder / "journal.jsonl", "", os.O_EXCL)
            lasting.write(folder / "plan.json", content + "\n", os.O_EXCL)
            lasting.sync(folder)
            lasting.sync(self.root)

    def set_aside(self, rollout: str) -> Path:
        """Move a rollout's folder out of the way; where it is now."""
        folder = self.folder(rollout)
        aside = self.root / f".{rollout}.{journal.now()}"
        with lasting.faults(folder):
            folder.rename(aside)
            lasting.sync(self.root)
        return aside

    def read_plan(self, rollout: str) -> Plan:
        """The plan, checked against its hash, and against the one that its journal begins with."""
        path = self.folder(rollout) / "plan.json"
        with lasting.faults(path):
            data = lasting.read(path)
            if set(data) != {"digest", "plan"}:
                raise RolloutError(f"'{path}' is no plan.")
            plan = from_data(data["plan"])
        # Hosts that were changed and that no plan knows would never go back.
        known = journal.planned(self.journal(rollout)) or data["digest"]
        if plan.digest != data["digest"] or plan.rollout != rollout or plan.digest != known:
            raise RolloutError(f"The plan '{path}' was changed after it was written.")
        return plan

    # --- epochs ---

    def next_epoch(self, policy: str, peek: bool = False, seen: int = 0) -> int:
        """Give out the next epoch of ``policy``; it is on disk before any host hears of it.

        With ``peek`` only say which one it would be, and write nothing. ``seen``: the highest that hosts know; where
        the folder was lost, they remember.
        """
        policies = [locks.checked(name) for name in policy.split(JOINED)]
        with nullcontext() if peek else self._guard(policies):
            # A lost epoch file must not lead to an epoch that hosts have seen.
            known = [0, *(number for number, _id, own in self._rollouts() if own & set(policies))]
            paths = [self.root / f"{name}.epoch" for name in policies]
            for path in paths:
                with lasting.faults(path):
                    known += [_epoch(lasting.read(path)["epoch"])] if path.exists() else []
            if seen > max(known) + _LEAP:
                raise RolloutError(
                    f"A host says that it has seen epoch {seen}, and '{self.root}' knows none above {max(known)}.",
                    "bulkhead.fleet.sandbox_info tells which one. Take it out of the fleet, or, where somebody gave "
                    f"that epoch by hand, write {{\"epoch\": {seen}}} into '{paths[0]}'.",
                )
            given = max(seen, *known) + 1
            for path in () if peek else paths:
                with lasting.faults(path):
                    lasting.replace(path, json.dumps({"epoch": given}) + "\n")
            return given


def _epoch(value: object) -> int:
    """Raises ValueError where hosts would refuse the one that comes after it."""
    if journal.is_epoch(value) and value < journal.HIGHEST_EPOCH:
        return value
    raise ValueError("no epoch")


def opened(given: Mapping[str, Any], part: bool = False) -> tuple[Store, Plan]:
    """The folder ``rollout_dir`` and the plan in it that ``rollout`` names, else that of the latest rollout.

    Raises RolloutError where that is a rollout of other ``policies``; with ``part`` some of its own are enough.
    """
    place, policy = Store(given["rollout_dir"]), policy_names(given["policies"])
    plan = place.read_plan(given["rollout"] or place.latest(policy))
    bound.refuse_names(plan, policy.split(JOINED), part)
    return place, plan


def policy_name(policy: str) -> str:
    """The name of a policy that was given as a name or as a path: 'updates/nginx.yml' is 'nginx'."""
    return locks.checked(Path(policy).stem if policy.endswith((".yml", ".yaml")) else policy)


def policy_names(policies: Iterable[str]) -> str:
    """The names of several policies as one text, in the order given. Raises RolloutError where one comes twice."""
    names = [policy_name(policy) for policy in policies]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RolloutError(f"Policy '{twice[0]}' is named twice.")
    if not names:
        raise RolloutError("No policy is named.", "Write -e policy=nginx, or several: -e policy=nginx,redis.")
    return JOINED.join(names)


def rollout_id(policy: str, epoch: int) -> str:
    for name in policy.split(JOINED):
        locks.checked(name)
    if len(policy) > _LONGEST:
        raise RolloutError(
            "The names of the policies are too long for one rollout.", "Roll out fewer at once."
        )
    return f"{policy}-e{epoch:04d}"
