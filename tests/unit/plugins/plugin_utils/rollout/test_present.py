# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play that does not find a host of the plan."""

from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import present, resume, state
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Options, PlannedHost, make

PLAN = make(
    rollout="nginx-e0001",
    epoch=1,
    policy="nginx",
    created="",
    hosts=[PlannedHost(name, "medium", "x", "old", "new", policy="nginx") for name in "abcde"],
    options=Options(waves=("2 hosts", 100)),
)


def test_batches_are_waves_without_those_who_are_gone() -> None:
    assert [wave.hosts for wave in PLAN.waves] == [("a",), ("b", "c"), ("d", "e")]
    assert present.batches(PLAN.waves, set("abcde")) == (list("abcde"), [1, 2, 2])
    assert present.batches(PLAN.waves, set("acde")) == (list("acde"), [1, 1, 2])
    assert present.batches(PLAN.waves, set("ade")) == (list("ade"), [1, 2])
    assert present.batches(PLAN.waves, set()) == ([], [1])


def test_a_batch_is_its_wave_or_a_part_of_it() -> None:
    assert present.stray(PLAN, "wave 1", ["b"]) == ""
    assert (
        present.stray(PLAN, "wave 1", ["c", "d"]) == "The play has hosts at work that are not of wave 1: d."
    )
    assert present.stray(PLAN, resume.CATCH_UP, ["c", "d"]) == ""
    assert "not of catch-up: z" in present.stray(PLAN, resume.CATCH_UP, ["c", "z"])


def test_who_is_gone_counts_as_failed_and_is_owed_only_where_it_was_touched() -> None:
    records = present.gone(PLAN, "wave 1", set("acde"), 2)
    assert [(one.host, one.outcome, one.from_digest, one.to_digest, one.detail) for one in records] == [
        ("b", "unreachable", "old", "new", "it is not in the inventory any more")
    ]
    assert [one.host for one in state.failures(PLAN, records)] == ["b"]
    assert state.touched(PLAN, records) == ()
    began = [
        Record("apply", outcome, wave="wave 1", host="b", policy="nginx") for outcome in ("intent", "changed")
    ]
    assert [one.owed for one in state.touched(PLAN, [*began, *records])] == [True]
    assert present.gone(PLAN, resume.CATCH_UP, set(), 2) == []


def test_a_wave_of_which_nobody_is_there_waits_for_a_person() -> None:
    assert present.empty(PLAN, "wave 1", set("ab"), 2) == []
    records = present.empty(PLAN, "wave 1", set("a"), 2)
    assert [(one.phase, one.outcome) for one in records] == [
        ("apply", "unreachable"),
        ("apply", "unreachable"),
        ("gate", "inconclusive"),
    ]
    assert resume.stands(records) == "wave 1"


@pytest.mark.parametrize("name", ["a b", "a,b", "a:b", "!a", "&a", "a\tb"])
def test_a_name_that_is_several_patterns_is_refused(name: str) -> None:
    with pytest.raises(RolloutError, match="A play cannot name these hosts: ") as caught:
        present.refuse_patterns(["fine", name])
    assert repr(name) in str(caught.value) and "fine" not in str(caught.value)


@pytest.mark.parametrize("name", ["web-1.example.org", "2001:db8::1", "größe", "a*", "web[1]", "~a"])
def test_names_that_a_play_takes_for_one_host(name: str) -> None:
    present.refuse_patterns([name])
