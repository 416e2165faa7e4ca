# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a rollout stands: pure functions of its plan and its journal's records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .journal import Record
from .plan import Plan

INTENT = "intent"

# Outcomes of phase "apply" after which the host may hold the new generation: unknown counts as held.
MAYBE_CHANGED = frozenset({INTENT, "changed", "failed", "unreachable"})
FAILED = frozenset({INTENT, "failed", "reverted", "refused", "unreachable"})
# Outcomes of phase "rollback" after which nothing is left to do.
SETTLED = frozenset({"rolled_back", "not_needed"})


@dataclass(frozen=True)
class HostState:
    """What the journal says of one host. ``apply`` and ``rollback`` are the last outcomes of those phases."""

    host: str
    wave: str
    from_digest: str
    to_digest: str
    apply: str = ""
    rollback: str = ""
    detail: str = ""

    @property
    def name(self) -> str:
        """One word for people: untouched, changed, unchanged, failed, unreachable, rolled_back, owed, ..."""
        return self.rollback or self.apply or "untouched"

    @property
    def touched(self) -> bool:
        return self.apply in MAYBE_CHANGED

    @property
    def owed(self) -> bool:
        """Touched, and nobody has yet shown that it is back."""
        return self.touched and self.rollback not in SETTLED


def hosts(plan: Plan, records: Iterable[Record]) -> tuple[HostState, ...]:
    """The state of every planned host, in the order of the plan."""
    lines = list(records)
    return tuple(_host(plan, name, [r for r in lines if r.host == name]) for name in plan.order)


def _host(plan: Plan, name: str, lines: Sequence[Record]) -> HostState:
    planned = plan.host(name)
    from_digest, to_digest = (planned.from_digest, planned.to_digest) if planned else ("", "")
    apply = rollback = detail = ""
    for line in lines:
        if line.phase == "apply":
            apply, rollback, detail = line.outcome, "", line.detail
            # What the host answered beats what was planned.
            from_digest = line.from_digest or from_digest
            to_digest = line.to_digest or to_digest
        elif line.phase == "rollback":
            rollback, detail = line.outcome, line.detail
    return HostState(name, plan.wave_of(name), from_digest, to_digest, apply, rollback, detail)


def touched(plan: Plan, records: Iterable[Record]) -> tuple[HostState, ...]:
    """Hosts that may hold the new generation: all that a rollback has to visit."""
    return tuple(state for state in hosts(plan, records) if state.touched)


def failures(plan: Plan, records: Iterable[Record]) -> tuple[HostState, ...]:
    """Hosts whose last apply did not succeed, over all waves, unreachable ones included."""
    return tuple(state for state in hosts(plan, records) if state.apply in FAILED)


def verdict(plan: Plan, records: Iterable[Record], before: str | None = None) -> str:
    """pass, abort, pause or inconclusive, over the waves before ``before``, or over all of them.

    A wave without a gate was not judged, and what was not judged never passes.
    """
    gates = {record.wave: record.outcome for record in records if record.phase == "gate"}
    if "abort" in gates.values():
        return "abort"
    for wave in plan.waves:
        if wave.name == before:
            break
        outcome = gates.get(wave.name, "inconclusive")
        if outcome != "pass":
            return outcome
    return "pass"
