# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a rollout stands: pure functions of its plan and its journal's records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import RolloutError
from .journal import Record
from .plan import Plan, PlannedHost

INTENT = "intent"
# In the exposure of an outcome: False where nobody can have gone to the host.
TOUCHED = "touched"

# Outcomes of phase "apply" after which the host may hold the new generation: unknown counts as held.
MAYBE_CHANGED = frozenset({INTENT, "changed", "failed", "unreachable"})
FAILED = frozenset({INTENT, "failed", "reverted", "refused", "unreachable"})
# Outcomes of phase "rollback" after which nothing is left to do.
SETTLED = frozenset({"rolled_back", "not_needed"})
HELD = frozenset({"changed", "unchanged"})
# Ends of a rollout whose hosts went back, or were to.
WENT_BACK = frozenset({"rolled_back", "owed"})


@dataclass(frozen=True)
class HostState:
    """What the journal says of one policy on one host. ``apply``, ``rollback``: the last outcomes of those phases."""

    host: str
    wave: str
    from_digest: str
    to_digest: str
    apply: str = ""
    rollback: str = ""
    detail: str = ""
    policy: str = ""
    held: bool = False  # an earlier try of this rollout may have left the new generation there
    begun: bool = True  # somebody may have gone there

    @property
    def name(self) -> str:
        """One word for people: untouched, changed, unchanged, failed, unreachable, rolled_back, owed, ..."""
        apply = "changed" if self.held and self.apply == "unchanged" else self.apply
        return self.rollback or apply or "untouched"

    @property
    def touched(self) -> bool:
        return self.held or (self.begun and self.apply in MAYBE_CHANGED)

    @property
    def owed(self) -> bool:
        """Touched, and nobody has yet shown that it is back."""
        return self.touched and self.rollback not in SETTLED


def hosts(plan: Plan, records: Iterable[Record]) -> tuple[HostState, ...]:
    """The state of all that was planned, in the order of the plan."""
    lines: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        if record.host:
            lines.setdefault((record.host, record.policy), []).append(record)
    return tuple(_host(plan, one, lines.get((one.name, one.policy), ())) for one in plan.hosts)


def _host(plan: Plan, planned: PlannedHost, lines: Sequence[Record]) -> HostState:
    from_digest, to_digest = planned.from_digest, planned.to_digest
    apply = rollback = detail = ""
    held = begun = False
    for line in lines:
        if line.phase == "apply":
            # A new try after one whose end is not known, or that changed the host: the way back is the first one's.
            held = held or (apply in MAYBE_CHANGED and line.outcome == INTENT)
            if not held:
                from_digest = line.from_digest or from_digest
            begun = begun or line.exposure.get(TOUCHED) is not False
            apply, rollback, detail = line.outcome, "", line.detail
            to_digest = line.to_digest or to_digest
        elif line.phase == "rollback":
            rollback, detail = line.outcome, line.detail
            held = held and rollback not in SETTLED
    wave = plan.wave_of(planned.name)
    return HostState(
        planned.name, wave, from_digest, to_digest, apply, rollback, detail, planned.policy, held, begun
    )


def touched(plan: Plan, records: Iterable[Record]) -> tuple[HostState, ...]:
    """What may hold the new generation: all that a rollback has to visit."""
    return tuple(state for state in hosts(plan, records) if state.touched)


def failures(plan: Plan, records: Iterable[Record]) -> tuple[HostState, ...]:
    """Whose last apply did not succeed, over all waves, unreachable ones included."""
    return tuple(state for state in hosts(plan, records) if state.apply in FAILED)


def verdict(plan: Plan, records: Iterable[Record], before: str | None = None) -> str:
    """pass, abort, pause or inconclusive, over the waves before ``before``, or over all of them.

    A wave without a gate was not judged, and what was not judged never passes. What somebody asked for from outside
    counts as well: an abort at once and for good, a pause until the rollout is resumed.
    """
    lines = list(records)
    gates = judged(lines)
    if aborted(lines):
        return "abort"
    stands = "pass"
    for wave in plan.waves:
        if wave.name == before:
            break
        stands = gates.get(wave.name, "inconclusive")
        if stands != "pass":
            break
    waits = before is not None or stands == "inconclusive"
    if waits and stands in ("pass", "inconclusive") and asked(lines, "pause"):
        return "pause"
    return stands


def begun(records: Iterable[Record], wave: str, epoch: int | None = None) -> bool:
    """Whether somebody set out to change its hosts; who was not found, or what receipts told, began nothing. ``epoch``:
    of hosts that catch up only this run counts, for each of them is a wave of its own."""
    return any(
        (one.phase, one.outcome, one.wave) == ("apply", INTENT, wave) and epoch in (None, one.epoch)
        for one in records
    )


def paused(records: Iterable[Record], wave: str) -> bool:
    """Whether it was paused once it had changed. That it waited before, for a window or for approvals, says nothing of
    what people have seen of it."""
    lines = list(records)
    first = next((number for number, one in enumerate(lines) if begun([one], wave)), len(lines))
    return any((one.phase, one.outcome, one.wave) == ("gate", "pause", wave) for one in lines[first:])


def asked(records: Iterable[Record], what: str) -> Record | None:
    """The line by which somebody asked for ``what`` (abort, pause, promote), unless the rollout went on since."""
    found = None
    for record in records:
        if record.phase == "control" and record.outcome == what:
            found = record
        elif record.phase == "resume" and what != "abort" or record.phase == "gate" and what == "promote":
            found = None
        elif (record.phase, record.outcome) == ("end", "pass") and what != "abort":
            found = None  # it came too late, and those who catch up are not meant
    return found


def ended(records: Iterable[Record]) -> str:
    """How the rollout ended last, or "" where it has not."""
    end = ""
    for record in records:
        end = record.outcome if record.phase == "end" else "" if record.phase == "resume" else end
    return end


def aborted(records: Iterable[Record]) -> bool:
    """Whether a gate or a person has ended it for good."""
    lines = list(records)
    return "abort" in judged(lines).values() or asked(lines, "abort") is not None


def closed(records: Iterable[Record]) -> bool:
    """Whether somebody took the rollout back, or began to: it does not go on, and what it left is no version to keep.

    One that a gate aborted went back by itself; it is closed once a rollback was asked for and ended.
    """
    lines = list(records)
    if any(record.phase == "end" and record.outcome in WENT_BACK for record in lines):
        return True
    return any(record.phase == "rollback" for record in lines) and not aborted(lines)


def refuse_closed(plan: Plan, records: Iterable[Record]) -> None:
    """Raises RolloutError where the rollout was taken back."""
    lines = list(records)
    if closed(lines):
        owed = any(one.owed for one in hosts(plan, lines))
        rest = "; hosts are still owed" if owed else ""
        raise RolloutError(
            f"'{plan.rollout}' was rolled back{rest}: it does not go on.",
            f"{'Run the rollback again until nothing is owed. ' if owed else ''}Plan a new rollout.",
        )


def judged(records: Iterable[Record]) -> dict[str, str]:
    """Wave -> outcome of its last gate. One whose hosts were touched since then, to go forth or back, has not been
    judged; an abort stays."""
    gates: dict[str, str] = {}
    for record in records:
        if record.phase == "gate":
            gates[record.wave] = record.outcome
        elif record.phase in ("apply", "rollback") and gates.get(record.wave) != "abort":
            gates.pop(record.wave, None)
    return gates


def passed(records: Iterable[Record]) -> frozenset[str]:
    """The waves whose last gate passed."""
    return frozenset(wave for wave, outcome in judged(records).items() if outcome == "pass")
