# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import math
import random

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.counts import EProcess, Interval


def process(*intervals: Interval, expected: float = 0.1) -> EProcess:
    made = EProcess(expected)
    for interval in intervals:
        made.add(interval)
    return made


def test_nothing_seen_is_no_evidence() -> None:
    assert process().value == 1
    assert process(*[Interval(60, 60)] * 100).value == 1
    assert process(*[Interval(60)] * 100).value < 1


def test_a_new_denial_on_every_changed_host_is_seen_within_a_few_looks() -> None:
    look = Interval(300, 300, {"apparmor: read /srv": 5})
    values = [process(*[look] * count).value for count in (1, 2, 3, 4)]
    assert values == sorted(values)
    assert values[2] > 100


def test_as_many_on_the_other_side_are_no_evidence() -> None:
    look = Interval(300, 300, {"a": 5}, {"a": 5})
    assert process(*[look] * 50).value < 1


def test_a_new_kind_is_not_drowned_by_the_usual_ones() -> None:
    usual = Interval(300, 300, {"usual": 30}, {"usual": 30})
    new = Interval(300, 300, {"usual": 30, "new": 5}, {"usual": 30})
    assert process(*[usual] * 20, *[new] * 5).value > 100


def test_without_another_side_the_agreed_rate_counts() -> None:
    assert process(*[Interval(60, 0, {"a": 1})] * 2).value > 100
    # One in ten host-hours is what was agreed on.
    assert process(*[Interval(36000, 0, {"a": 1})] * 20).value < 1


def test_the_loudest_are_named() -> None:
    made = process(Interval(300, 300, {"a": 1, "b": 9}, {"a": 9}), Interval(300, 300, {"b": 2}))
    assert made.worst(1) == ["b"]
    assert (made.events, made.base_events, made.seconds) == (12, 9, 600)


def test_what_quiet_proves() -> None:
    assert process(Interval(4500)).bound() == pytest.approx(2.4, abs=0.01)
    assert process().bound() == math.inf


def test_a_huge_count_is_no_overflow() -> None:
    assert process(Interval(60, 60, {"a": 10**6})).value > 1e100


def test_the_mean_under_the_null_is_at_most_one() -> None:
    draw = random.Random(4)
    total = 0.0
    for _number in range(4000):
        made = EProcess(0.1)
        for _look in range(3):
            sides: list[dict[str, int]] = [{}, {}]
            for name in ("a", "b"):
                for _event in range(draw.randrange(3)):
                    side = sides[draw.random() >= 0.25]
                    side[name] = side.get(name, 0) + 1
            made.add(Interval(100, 300, sides[0], sides[1]))
        total += made.value
    assert total / 4000 < 1.15
