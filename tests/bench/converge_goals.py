# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured against what it may be: medians, ratios of runs of one round, and the goals that are missed."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

FLEET = 30  # the goals of time are goals of a fleet: below, the start of a program is all that is seen
ROLLBACK = (1.5, 10.0)  # times that of one host, and seconds


@dataclass(frozen=True)
class Run:
    """One act of one way on so many hosts. ``wall`` in seconds, ``cpu`` in seconds and ``wire`` in bytes per host."""

    hosts: int
    round: int
    way: str
    act: str
    wall: float
    cpu: float
    wire: float


@dataclass(frozen=True)
class Goal:
    """At most ``limit`` of ``figure``, or ``limit`` times that of the way ``against`` in the same round."""

    act: str
    figure: str
    limit: float
    against: str = ""
    least: int = FLEET


GOALS = (
    Goal("first", "wall", 1.5, "floor"),
    Goal("first", "wall", 1 / 10, "role"),
    Goal("first", "wall", 0.8, "pyinfra"),
    Goal("no_change", "wall", 1.3, "floor"),
    Goal("no_change", "wall", 1 / 17, "role"),
    Goal("no_change", "wall", 0.6, "pyinfra"),
    Goal("first", "cpu", 0.15),
    Goal("no_change", "cpu", 0.10),
    Goal("first", "wire", 25_000, least=1),
)
UNITS = {"wall": "s", "cpu": "s of processor per host", "wire": "bytes per host"}


def of(runs: Iterable[Run], hosts: int, way: str, act: str) -> list[Run]:
    return [run for run in runs if (run.hosts, run.way, run.act) == (hosts, way, act)]


def median(runs: Sequence[Run], hosts: int, way: str, act: str, figure: str = "wall") -> float | None:
    """None where there is no such run."""
    found = [getattr(run, figure) for run in of(runs, hosts, way, act)]
    return statistics.median(found) if found else None


def ratio(
    runs: Sequence[Run], hosts: int, way: str, against: str, act: str, figure: str = "wall"
) -> float | None:
    """The median of the rounds' own ratios: what disturbs the machine disturbs both runs of a round."""
    there = {run.round: getattr(run, figure) for run in of(runs, hosts, against, act)}
    found = [
        getattr(run, figure) / there[run.round] for run in of(runs, hosts, way, act) if there.get(run.round)
    ]
    return statistics.median(found) if found else None


def shortfalls(runs: Sequence[Run]) -> list[str]:
    """A sentence for each goal that is missed, by size of the fleet."""
    found = []
    for hosts in sorted({run.hosts for run in runs if run.way == "floor"}):
        for goal in GOALS:
            if hosts < goal.least:
                continue
            against = goal.against
            seen = (
                ratio(runs, hosts, "ours", against, goal.act, goal.figure)
                if against
                else median(runs, hosts, "ours", goal.act, goal.figure)
            )
            if seen is not None and seen > goal.limit:
                unit = f"x {against}" if against else UNITS[goal.figure]
                what = f"{hosts} hosts, {goal.act}, {goal.figure}"
                found.append(f"{what}: {seen:.3g} {unit}, the goal is {goal.limit:.3g}")
        found += _rollback(runs, hosts)
    return found


def _rollback(runs: Sequence[Run], hosts: int) -> list[str]:
    one, all_ = (median(runs, number, "ours", "rollback") for number in (1, hosts))
    if one is None or all_ is None:
        return []
    times, more = ROLLBACK
    limit = times * one + more
    if all_ <= limit:
        return []
    return [f"{hosts} hosts, rollback, wall: {all_:.3g} s, the goal is {limit:.3g}"]


def medians(runs: Sequence[Run], ways: Sequence[str]) -> dict[str, Any]:
    """All medians by "HOSTS_WAY_ACT", and ratios of ours to the others."""
    out: dict[str, Any] = {}
    for hosts in sorted({run.hosts for run in runs}):
        for way in ways:
            for act in ("first", "no_change", "rollback"):
                wall = median(runs, hosts, way, act)
                if wall is None:
                    continue
                cpu, wire = (median(runs, hosts, way, act, figure) or 0.0 for figure in ("cpu", "wire"))
                entry = {"wall_s": round(wall, 2), "cpu_s_host": round(cpu, 3), "wire_host": round(wire)}
                times = ratio(runs, hosts, "ours", way, act)
                if way != "ours" and times is not None:
                    entry["ours_times"] = round(times, 3)
                out[f"{hosts}_{way}_{act}"] = entry
    return out
