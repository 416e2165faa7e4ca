# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout as a drawing: waves of hosts over time, and the gates between them. Pure geometry, no markup."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ..rollout.journal import Record
from .evidence import natural

LEFT, WIDTH, LANE, HEAD = 196.0, 960.0, 24.0, 30.0  # user units of the drawing
LANES = 10  # hosts of one wave that get a lane of their own
NARROW = 4.0  # a bar is at least this wide, however short it was

# What an outcome in the journal makes of a host from then on: (phase, outcome) -> (state, word for people).
STATES: dict[tuple[str, str], tuple[str, str]] = {
    ("apply", "intent"): ("applying", "being changed"),
    ("apply", "changed"): ("soaking", "changed, watched"),
    ("apply", "unchanged"): ("kept", "nothing to change"),
    ("apply", "failed"): ("failed", "failed"),
    ("apply", "refused"): ("failed", "refused"),
    ("apply", "reverted"): ("failed", "went back by itself"),
    ("apply", "unreachable"): ("failed", "unreachable"),
    ("rollback", "intent"): ("applying", "being rolled back"),
    ("rollback", "rolled_back"): ("back", "rolled back"),
    ("rollback", "not_needed"): ("back", "was back already"),
}
PROMOTED = ("promoted", "promoted")


@dataclass(frozen=True)
class Bar:
    x: float
    width: float
    state: str
    label: str


@dataclass(frozen=True)
class Lane:
    name: str
    short: str
    y: float
    bars: tuple[Bar, ...]
    end: str  # the last state in words


@dataclass(frozen=True)
class Gate:
    x: float
    outcome: str
    detail: str
    time: str
    evidence: str = ""  # the e-value of the denials against its line


@dataclass(frozen=True)
class Band:
    """One wave: a band of lanes and the gates that judged it."""

    name: str
    y: float
    height: float
    lanes: tuple[Lane, ...]
    gates: tuple[Gate, ...]
    folded: str = ""


@dataclass(frozen=True)
class Evidence:
    """The e-value of the denials over time, on a logarithmic scale, and the line that it must not cross."""

    y: float
    height: float
    points: tuple[tuple[float, float], ...]
    line_y: float
    label: str
    crossed: bool


@dataclass(frozen=True)
class Timeline:
    rollout: str
    outcome: str
    detail: str
    begin: str
    took: str
    bands: tuple[Band, ...]
    ticks: tuple[tuple[float, str], ...]
    height: float
    from_digest: str
    to_digest: str
    evidence: Evidence | None = None
    ends: tuple[tuple[str, str, int], ...] = ()  # (state, word, hosts) at the end


def draw(records: Iterable[Record], rollout: str = "") -> Timeline | None:
    """The timeline of ``rollout``, or of the last one in the journal; None where there is nothing to draw."""
    lines = [record for record in records if record.rollout and record.phase != "journal"]
    name = rollout or (lines[-1].rollout if lines else "")
    lines = [record for record in lines if record.rollout == name]
    if not lines:
        return None
    scale = _Scale(_when(lines[0]), _when(lines[-1]))
    bands, y = [], HEAD
    for wave in dict.fromkeys(record.wave for record in lines if record.wave):
        band = _band(wave, [record for record in lines if record.wave == wave], y, scale)
        bands.append(band)
        y += band.height + 8
    evidence = _evidence([record for record in lines if record.phase == "poll"], y, scale)
    y += evidence.height + 8 if evidence else 0
    end = next((record for record in reversed(lines) if record.phase == "end"), None)
    last = end or next((record for record in reversed(lines) if record.phase == "gate"), lines[-1])
    touched = [record for record in lines if record.to_digest]
    return Timeline(
        rollout=name,
        outcome=last.outcome if end else "running",
        detail=last.detail,
        begin=lines[0].time,
        took=duration(scale.seconds),
        bands=tuple(bands),
        ticks=scale.ticks(),
        height=y,
        from_digest=touched[0].from_digest if touched else "",
        to_digest=touched[0].to_digest if touched else "",
        evidence=evidence,
        ends=_ends(lines),
    )


def _evidence(polls: list[Record], y: float, scale: _Scale) -> Evidence | None:
    seen = [
        (record, float(record.exposure.get("e_value") or 0))
        for record in polls
        if record.exposure.get("line")
    ]
    if not seen:
        return None
    line = float(seen[-1][0].exposure["line"])
    peak = max(value for _record, value in seen)
    top = math.log10(max(peak, line)) + 0.5
    height = 3 * LANE

    def at(value: float) -> float:
        share = min(max(math.log10(max(value, 0.1)) + 1, 0) / (top + 1), 1)
        return round(y + height - 4 - share * (height - 8), 1)

    points = tuple((scale.x(_when(record)), at(value)) for record, value in seen)
    label = f"e-value {peak:.3g} at most, line {line:.3g}"
    return Evidence(y, height, points, at(line), label, peak >= line)


def _ends(lines: list[Record]) -> tuple[tuple[str, str, int], ...]:
    """Hosts by their last state. One that passed its gate and stayed is promoted."""
    last = {(record.host, record.policy): record for record in lines if record.host}
    passed = {record.wave for record in lines if record.phase == "gate" and record.outcome == "pass"}
    words: Counter[tuple[str, str]] = Counter()
    for record in last.values():
        state = STATES.get((record.phase, record.outcome), ("failed", record.outcome))
        words[PROMOTED if state[0] == "soaking" and record.wave in passed else state] += 1
    return tuple((state, word, number) for (state, word), number in words.most_common())


class _Scale:
    """Seconds since the beginning to user units."""

    def __init__(self, begin: float, end: float) -> None:
        self.begin = begin
        self.seconds = max(end - begin, 1.0)

    def x(self, when: float) -> float:
        share = min(max((when - self.begin) / self.seconds, 0.0), 1.0)
        return round(LEFT + share * (WIDTH - LEFT - 30), 1)

    def ticks(self) -> tuple[tuple[float, str], ...]:
        """Four to eight round distances."""
        steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400, 604800)
        step = next((step for step in steps if self.seconds / step <= 8), steps[-1])
        count = min(int(self.seconds // step), 12)
        return tuple(
            (self.x(self.begin + number * step), duration(number * step)) for number in range(count + 1)
        )


def _when(record: Record) -> float:
    return datetime.fromisoformat(record.time).timestamp()


def duration(seconds: float) -> str:
    """``45 s``, ``3 min 20 s``, ``2 h 5 min``, ``3 d 4 h``."""
    whole = int(round(seconds))
    for unit, size, lower, small in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // small
            return f"{whole // size} {unit}" + (f" {rest} {lower}" if rest else "")
    return f"{whole} s"


def _band(wave: str, lines: list[Record], y: float, scale: _Scale) -> Band:
    gates = tuple(
        Gate(scale.x(_when(record)), record.outcome, record.detail, record.time, _against(record))
        for record in lines
        if record.phase == "gate"
    )
    passed = [_when(record) for record in lines if record.phase == "gate" and record.outcome == "pass"]
    hosts = sorted({record.host for record in lines if record.host}, key=natural)
    # Hosts that went wrong are shown first when not all have room.
    bars = {host: _bars([r for r in lines if r.host == host], passed, scale) for host in hosts}
    ranked = sorted(hosts, key=lambda host: bars[host][-1].state not in ("failed", "back", "applying"))
    shown = sorted(ranked[:LANES], key=natural) if len(hosts) > LANES else hosts
    lanes = tuple(
        Lane(host, short(host), y + number * LANE, bars[host], bars[host][-1].label)
        for number, host in enumerate(shown)
    )
    rest = Counter(bars[host][-1].label for host in hosts if host not in shown)
    folded = ", ".join(f"{count} more {label}" for label, count in sorted(rest.items()))
    rows = max(len(lanes), 1) + bool(folded)
    return Band(wave, y, rows * LANE, lanes, gates, folded)


def _against(record: Record) -> str:
    value, line = record.exposure.get("e_value"), record.exposure.get("line")
    return f"e-value {float(value):.3g} of {float(line):.3g}" if value is not None and line else ""


def short(name: str) -> str:
    """A host's name without its domain, cut to what the drawing has room for; addresses keep their dots."""
    first = name.partition(".")[0]
    text = name if first.isdecimal() or not first else first
    return text if len(text) <= 15 else text[:14] + "…"


def _bars(lines: list[Record], passed: list[float], scale: _Scale) -> tuple[Bar, ...]:
    """Bars of one host: each state lasts until the next record of the host, the last one until the end."""
    steps = [
        (_when(record), STATES.get((record.phase, record.outcome), ("failed", record.outcome)))
        for record in lines
    ]
    held = next((when for when, (state, _word) in steps if state == "soaking"), None)
    judged = next((when for when in passed if held is not None and when >= held), None)
    if judged is not None:
        steps = sorted([*steps, (judged, PROMOTED)], key=lambda step: step[0])
    bars = []
    for number, (when, (state, word)) in enumerate(steps):
        until = steps[number + 1][0] if number + 1 < len(steps) else scale.begin + scale.seconds
        x = scale.x(when)
        bars.append(Bar(x, max(scale.x(until) - x, NARROW), state, word))
    return tuple(bars)
