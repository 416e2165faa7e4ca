# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians, ratios of the same round, and which goals count as missed."""

from __future__ import annotations

from converge_goals import Run, median, medians, ratio, shortfalls


def runs(hosts: int, way: str, act: str, *walls: float, cpu: float = 0.01, wire: float = 9000) -> list[Run]:
    return [Run(hosts, number, way, act, wall, cpu, wire) for number, wall in enumerate(walls)]


def test_a_ratio_is_that_of_runs_of_one_round() -> None:
    # The machine was busy in the second round: both took longer.
    seen = runs(30, "ours", "first", 2, 20, 3) + runs(30, "floor", "first", 1, 10, 2)
    assert ratio(seen, 30, "ours", "floor", "first") == 2
    assert median(seen, 30, "ours", "first") == 3
    assert ratio(seen, 30, "ours", "pyinfra", "first") is None


def test_goals_of_time_are_goals_of_a_fleet() -> None:
    slow = [*runs(3, "ours", "first", 9), *runs(3, "floor", "first", 1)]
    assert shortfalls(slow) == []
    slow = [*runs(30, "ours", "first", 9), *runs(30, "floor", "first", 1)]
    assert shortfalls(slow) == ["30 hosts, first, wall: 9 x floor, the goal is 1.5"]


def test_bytes_count_on_any_number_of_hosts_and_are_named() -> None:
    seen = [*runs(3, "ours", "first", 1, wire=26_000), *runs(3, "floor", "first", 1)]
    assert shortfalls(seen) == ["3 hosts, first, wire: 2.6e+04 bytes per host, the goal is 2.5e+04"]


def test_processor_time_is_per_host() -> None:
    seen = [*runs(30, "ours", "no_change", 1, cpu=0.2), *runs(30, "floor", "no_change", 1)]
    assert shortfalls(seen) == [
        "30 hosts, no_change, cpu: 0.2 s of processor per host, the goal is 0.1",
    ]


def test_a_fleet_goes_back_in_little_more_than_one_host() -> None:
    one, floor = runs(1, "ours", "rollback", 2), runs(10, "floor", "rollback", 1)
    assert shortfalls([*one, *floor, *runs(10, "ours", "rollback", 13)]) == []
    assert shortfalls([*one, *floor, *runs(10, "ours", "rollback", 14)]) == [
        "10 hosts, rollback, wall: 14 s, the goal is 13"
    ]


def test_figures_name_size_way_and_act() -> None:
    seen = [*runs(3, "ours", "first", 2), *runs(3, "floor", "first", 1)]
    assert medians(seen, ["ours", "floor"]) == {
        "3_ours_first": {"wall_s": 2, "cpu_s_host": 0.01, "wire_host": 9000},
        "3_floor_first": {"wall_s": 1, "cpu_s_host": 0.01, "wire_host": 9000, "ours_times": 2},
    }
