# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a rollout is, out of its plan and journal alone: a terminal beside it sees what the running one shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import state, watch
from .journal import Record
from .plan import Plan

BAR = 20
# Words of a host's state in the order in which they are told.
_TOLD = ("failed", "reverted", "refused", "unreachable", "owed", "rolled_back", "not_needed")


@dataclass(frozen=True)
class Progress:
    """``wave``: the one at work, or the last one. ``done``: hosts of which an outcome is known, of ``total``. ``left``:
    seconds, None where nothing tells. ``soak``: seconds until the wave is judged. ``denials``: events so far."""

    rollout: str
    wave: str
    number: int
    waves: int
    done: int
    total: int
    states: tuple[tuple[str, int], ...]
    denials: int | None
    e_value: float
    line: float
    gate: str
    verdict: str
    left: float | None
    soak: float
    doing: str


def of(plan: Plan, records: Iterable[Record], now: float) -> Progress:
    """``now``: seconds since the epoch."""
    lines = list(records)
    hosts = state.hosts(plan, lines)
    known = {one.host for one in hosts if one.apply not in ("", state.INTENT)}
    known -= {one.host for one in hosts if one.apply == state.INTENT}
    names = [wave.name for wave in plan.waves]
    begun = [record.wave for record in lines if record.wave in names]
    wave = begun[-1] if begun else names[0]
    gates = [record for record in lines if record.phase == "gate"]
    found = watch.judge(plan, lines, wave)
    polls = [record.exposure for record in lines if record.phase == "poll"]
    verdict = state.ended(lines) or state.verdict(plan, lines)
    soak = _soaking(plan, lines, wave, now)
    counted = Counter(one.name for one in hosts if one.name in _TOLD)
    return Progress(
        rollout=plan.rollout,
        wave=wave,
        number=names.index(wave) + 1,
        waves=len(names),
        done=len(known),
        total=len(plan.order),
        states=tuple((word, counted[word]) for word in _TOLD if counted[word]),
        denials=sum(sum(one.get("events", {}).values()) for one in polls) if found.line else None,
        e_value=found.value,
        line=found.line,
        gate=f"{gates[-1].wave} {gates[-1].outcome}" if gates else "",
        verdict=verdict,
        left=_left(plan, lines, wave, len(known), soak, now),
        soak=soak,
        doing=_doing(lines, wave, soak),
    )


def line(seen: Progress, drawn: bool = False) -> str:
    """All of it on one line."""
    parts = [f"{seen.wave} ({seen.number} of {seen.waves})", f"{seen.done} of {seen.total} hosts"]
    if drawn:
        full = BAR * seen.done // max(seen.total, 1)
        parts.insert(0, "█" * full + "░" * (BAR - full))
    parts += [f"{number} {word}" for word, number in seen.states]
    if seen.denials is not None:
        parts.append(f"{seen.denials} denials (e-value {seen.e_value:.3g} of {seen.line:.3g})")
    if seen.gate:
        parts.append(f"gate {seen.gate}")
    parts.append(seen.doing)
    if seen.left is not None:
        parts.append(f"about {span(seen.left)} left")
    return f"{seen.rollout}: " + ", ".join(parts)


def lines(plan: Plan, records: Sequence[Record], now: float, holder: str) -> list[str]:
    """For ``status``: the line of before, each wave, and who works on it."""
    seen = of(plan, records, now)
    out = [line(seen)]
    hosts = state.hosts(plan, records)
    gates = {record.wave: record for record in records if record.phase == "gate"}
    for wave in plan.waves:
        counted = Counter(one.name for one in hosts if one.wave == wave.name)
        told = ", ".join(f"{number} {word}" for word, number in sorted(counted.items()))
        gate = gates.get(wave.name)
        out.append(f"  {wave.name}: {told}" + (f"; gate {gate.outcome}: {gate.detail}" if gate else ""))
    for record in records:
        if record.phase == "control":
            out.append(f"  {record.time[:19]}Z {record.detail}")
    out.append(f"  {holder}")
    return out


def span(seconds: float) -> str:
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def _soaking(plan: Plan, lines: Sequence[Record], wave: str, now: float) -> float:
    """Seconds until the wave is judged, 0 where it does not soak."""
    last = next((r for r in reversed(lines) if r.wave == wave and r.phase in ("apply", "gate")), None)
    if last is None or last.phase == "gate" or last.outcome == state.INTENT:
        return 0.0
    return max(0.0, watch.stamp(last.time) + plan.options.soak - now)


def _doing(lines: Sequence[Record], wave: str, soak: float) -> str:
    last = lines[-1] if lines else None
    if last is None or last.phase == "plan":
        return "planned"
    if last.phase == "end":
        return f"ended: {last.outcome}"
    if last.phase == "rollback":
        return "going back"
    if last.phase in ("apply", "poll") and last.wave == wave:
        if last.outcome == state.INTENT:
            return "changing"
        return f"soaking, {span(soak)} to go" if soak else "being judged"
    return "between waves"


def _left(plan: Plan, lines: Sequence[Record], wave: str, done: int, soak: float, now: float) -> float | None:
    """What is left at the pace of before: the changes of hosts at their mean time, the soaks of waves as planned."""
    if state.ended(lines) or not done:
        return None
    passed = state.passed(lines)
    began = watch.stamp(next(r for r in lines if r.phase in ("apply", "resume")).time)
    soaked = sum(plan.options.soak for one in plan.waves if one.name in passed)
    working = max(0.0, now - began - soaked)
    ahead = sum(1 for one in plan.waves if one.name not in passed and one.name != wave)
    return working / done * (len(plan.order) - done) + soak + ahead * plan.options.soak
