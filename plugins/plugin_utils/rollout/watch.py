# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the hosts of a wave while it soaks: one record of phase ``poll`` each, and what all of them come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..denials import acts
from . import counts, state
from .journal import Record
from .plan import Plan

MOST = 50  # signatures of one host in one look
Answer = Mapping[str, Any] | None


@dataclass(frozen=True)
class Verdict:
    """``sick``: hosts whose health checks failed in the last look and in as many before it as are forgiven.
    ``tripped``: so many hosts were unhealthy at once that nothing is forgiven. ``value``, ``line``: of the e-process;
    0 where none runs. ``blind``: hosts whose denials the last look could not read."""

    sick: Mapping[str, str] = field(default_factory=dict)
    tripped: bool = False
    value: float = 0.0
    line: float = 0.0
    detail: str = ""
    looks: int = 0
    blind: int = 0

    @property
    def denied(self) -> bool:
        return self.line > 0 and self.value >= self.line


def unhealthy(answers: Mapping[str, Answer]) -> dict[str, str]:
    """Label -> what was wrong, for those whose health checks ran and failed."""
    found = {}
    for label, answer in answers.items():
        checks = answer.get("health") if answer else None
        wrong = [c for c in checks if not c["ok"]] if isinstance(checks, list) else []
        if wrong:
            found[label] = "; ".join(f"{c['id']}: {c.get('detail') or 'failed'}" for c in wrong[:2])
    return found


def side(answers: Mapping[str, Answer], since: str) -> tuple[int, dict[str, int]]:
    """(hosts whose denials were read, {signature: on how many of them}).

    ``since``: for a host that was read without a cursor, only what it saw after that time counts.
    """
    hosts, events = 0, dict[str, int]()
    for answer in answers.values():
        seen = answer.get("denials") if answer else None
        if not isinstance(seen, Mapping) or not isinstance(seen.get("rows"), list):
            continue
        hosts += 1
        known, fresh = set(seen.get("known") or ()), set()
        for signature, last in seen["rows"]:
            if signature not in known and (seen.get("cursor") or not last or last >= since):
                fresh.add(signature)
        for signature in sorted(fresh)[:MOST]:
            events[signature] = events.get(signature, 0) + 1
    return hosts, events


def unread(answer: Mapping[str, Any]) -> bool:
    """Whether a host could read none of the places where denials are kept: then that it found none is no sign."""
    states = [one.get("state") for one in answer.get("sources") or () if isinstance(one, Mapping)]
    return bool(states) and "read" not in states


def brief(answer: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A host's denials in short: rows of (signature, time of the last one), the cursor for the next look, and the
    signatures that were there before the rollout touched anything."""
    rows = [[f"{row['mechanism']}: {acts.of(row).words()}", row.get("last")] for row in answer["denials"]]
    return {
        "rows": rows,
        "cursor": before.get("next", ""),
        "next": answer.get("cursor", ""),
        "known": list(before.get("known") or ()),
        "unrecorded": len(answer.get("unrecorded") or ()),
    }


def exposure(
    answers: Mapping[str, Answer], base: Mapping[str, Answer], seconds: float, since: str
) -> dict[str, Any]:
    """What one look saw, for its record."""
    hosts, events = side(answers, since)
    base_hosts, base_events = side(base, since)
    silent = max(
        (int((a.get("denials") or {}).get("unrecorded") or 0) for a in answers.values() if a), default=0
    )
    return {
        "asked": len(answers),
        "answered": sum(1 for answer in answers.values() if answer and answer.get("active") is not None),
        "unhealthy": unhealthy(answers),
        "seconds": round(max(0.0, seconds), 1),
        "hosts": hosts,
        "events": events,
        "base_hosts": base_hosts,
        "base_events": base_events,
        "unrecorded": silent,
    }


def judge(plan: Plan, records: Iterable[Record], wave: str) -> Verdict:
    """What all looks of the rollout come to; health only those of ``wave`` since it was last begun."""
    lines = list(records)
    polls = [record for record in lines if record.phase == "poll"]
    own = [record.exposure for record in _current(lines, wave)]
    sick, tripped = _sick(own, plan.options.health_retries, plan.options.breaker)
    if not plan.options.denials:
        return Verdict(sick, tripped, looks=len(own))
    process = counts.EProcess(plan.options.expected)
    peak = 0.0
    for record in polls:
        peak = max(peak, process.add(_interval(record.exposure)))
    hours = process.seconds / counts.HOUR
    line = 1 / plan.options.alpha
    detail = f"denials: e-value {peak:.3g}, line {line:.3g}, {process.events} in {hours:.3g} host-hours"
    if process.base_seconds:
        detail += (
            f" against {process.base_events} in {process.base_seconds / counts.HOUR:.3g} of unchanged hosts"
        )
    elif not process.events:
        detail += f"; up to {process.bound():.3g} per host-hour could go unseen"
    if peak >= line:
        detail += f"; most of all {'; '.join(process.worst() or _most(own))}"
    blind = int(own[-1].get("asked") or 0) - int(own[-1].get("hosts") or 0) if own else 0
    return Verdict(sick, tripped, peak, line, detail, len(own), blind)


def _most(looks: Sequence[Mapping[str, Any]]) -> list[str]:
    """The most frequent signatures, where there was no other side to hold them against."""
    total: dict[str, int] = {}
    for look in looks:
        for name, number in (look.get("events") or {}).items():
            total[name] = total.get(name, 0) + number
    return sorted(total, key=lambda name: (-total[name], name))[:3]


def began(records: Sequence[Record], wave: str) -> float | None:
    """When the hosts of ``wave`` had changed: the time of its last outcome of an apply; None before that."""
    times = [r.time for r in records if r.phase == "apply" and r.wave == wave and r.outcome != state.INTENT]
    return stamp(times[-1]) if times else None


def stamp(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def _current(records: Sequence[Record], wave: str) -> list[Record]:
    """Polls of ``wave`` since its hosts were last touched."""
    found: list[Record] = []
    for record in records:
        if record.wave == wave and record.phase == "apply":
            found = []
        elif record.wave == wave and record.phase == "poll":
            found.append(record)
    return found


def _sick(looks: Sequence[Mapping[str, Any]], retries: int, breaker: int) -> tuple[dict[str, str], bool]:
    if not looks:
        return {}, False
    last = dict(looks[-1].get("unhealthy") or {})
    # One host of one tells nothing about the wave; forgive it like any other.
    asked = int(looks[-1].get("asked") or 0)
    tripped = asked > 1 and len(last) * 100 > breaker * asked
    recent = looks[-(retries + 1) :]
    forgiven = len(recent) <= retries
    sick = {
        label: text
        for label, text in last.items()
        if tripped or (not forgiven and all(label in (look.get("unhealthy") or {}) for look in recent))
    }
    return sick, tripped


def _interval(seen: Mapping[str, Any]) -> counts.Interval:
    seconds = float(seen.get("seconds") or 0)
    return counts.Interval(
        seconds * int(seen.get("hosts") or 0),
        seconds * int(seen.get("base_hosts") or 0),
        {str(name): int(number) for name, number in (seen.get("events") or {}).items()},
        {str(name): int(number) for name, number in (seen.get("base_events") or {}).items()},
    )
