# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import state
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import (
    Options,
    Plan,
    PlannedHost,
    make,
)


@pytest.fixture
def plan() -> Plan:
    hosts = [PlannedHost(name, "medium", "x", f"old-{name}", f"new-{name}") for name in ("a", "b", "c")]
    return make(
        rollout="nginx-e0001",
        epoch=1,
        policy="nginx",
        created="",
        hosts=hosts,
        options=Options(waves=("1 host", 100)),
    )


def apply(host: str, *outcomes: str) -> list[Record]:
    return [Record("apply", outcome, host=host) for outcome in outcomes]


def gate(wave: str, outcome: str) -> Record:
    return Record("gate", outcome, wave=wave)


@pytest.mark.parametrize(
    ("outcomes", "touched", "failed"),
    [
        ([], False, False),
        (["intent"], True, True),
        (["intent", "changed"], True, False),
        (["intent", "unchanged"], False, False),
        (["intent", "failed"], True, True),
        (["intent", "unreachable"], True, True),
        (["intent", "reverted"], False, True),
        (["intent", "refused"], False, True),
    ],
)
def test_what_counts_as_touched_and_as_failed(
    plan: Plan, outcomes: list[str], touched: bool, failed: bool
) -> None:
    records = apply("a", *outcomes)
    assert [s.host for s in state.touched(plan, records)] == (["a"] if touched else [])
    assert [s.host for s in state.failures(plan, records)] == (["a"] if failed else [])


@pytest.mark.parametrize(
    ("rollback", "owed"),
    [
        ("", True),
        ("intent", True),
        ("owed", True),
        ("failed", True),
        ("rolled_back", False),
        ("not_needed", False),
    ],
)
def test_owed_until_shown_to_be_back(plan: Plan, rollback: str, owed: bool) -> None:
    records = apply("a", "intent", "changed")
    records += [Record("rollback", rollback, host="a")] if rollback else []
    assert state.hosts(plan, records)[0].owed is owed


def test_hosts_come_in_the_order_of_the_plan_with_their_digests(plan: Plan) -> None:
    records = [Record("apply", "changed", host="b", from_digest="old-b", to_digest="seen")]
    assert [(s.host, s.wave, s.from_digest, s.to_digest, s.name) for s in state.hosts(plan, records)] == [
        ("a", "pilot", "old-a", "new-a", "untouched"),
        ("b", "wave 1", "old-b", "seen", "changed"),
        ("c", "wave 2", "old-c", "new-c", "untouched"),
    ]


@pytest.mark.parametrize(
    ("gates", "before", "verdict"),
    [
        ([], "pilot", "pass"),
        ([], "wave 1", "inconclusive"),
        ([], None, "inconclusive"),
        ([("pilot", "pass")], "wave 1", "pass"),
        ([("pilot", "pass")], "wave 2", "inconclusive"),
        ([("pilot", "pause")], "wave 1", "pause"),
        ([("pilot", "inconclusive")], "wave 2", "inconclusive"),
        ([("pilot", "inconclusive"), ("pilot", "pass")], "wave 1", "pass"),
        ([("pilot", "pass"), ("wave 1", "abort")], "pilot", "abort"),
        ([("pilot", "pass"), ("wave 1", "abort")], None, "abort"),
        ([("pilot", "pass"), ("wave 1", "pass")], None, "inconclusive"),
        ([("pilot", "pass"), ("wave 1", "pass"), ("wave 2", "pass")], None, "pass"),
    ],
)
def test_verdict(plan: Plan, gates: list[tuple[str, str]], before: str | None, verdict: str) -> None:
    assert state.verdict(plan, [gate(*item) for item in gates], before) == verdict


def test_a_second_try_that_changes_nothing_does_not_hide_the_first(plan: Plan) -> None:
    first = [
        Record("apply", "intent", host="a"),
        Record("apply", "changed", host="a", from_digest="old", to_digest="new"),
    ]
    again = [
        Record("apply", "intent", host="a"),
        Record("apply", "unchanged", host="a", from_digest="new", to_digest="new"),
    ]
    for records in (first + again, first[:1] + again):
        seen = state.hosts(plan, records)[0]
        assert (seen.name, seen.touched, seen.to_digest) == ("changed", True, "new")
        assert seen.from_digest in ("old", "old-a")
    back = [*first, *again, Record("rollback", "rolled_back", host="a")]
    assert not state.hosts(plan, back)[0].owed


CONTROL_ABORT, CONTROL_PAUSE = Record("control", "abort"), Record("control", "pause")


@pytest.mark.parametrize(
    ("records", "before", "verdict"),
    [
        ([CONTROL_PAUSE], "pilot", "pause"),
        ([gate("pilot", "pass"), CONTROL_PAUSE], "wave 1", "pause"),
        ([gate("pilot", "pass"), CONTROL_PAUSE], None, "pause"),
        ([gate("pilot", "inconclusive"), CONTROL_PAUSE], "wave 2", "pause"),
        ([CONTROL_PAUSE, Record("resume", "begun")], "pilot", "pass"),
        ([CONTROL_ABORT], "pilot", "abort"),
        ([CONTROL_ABORT, Record("resume", "begun")], "pilot", "abort"),
        ([gate(w, "pass") for w in ("pilot", "wave 1", "wave 2")] + [CONTROL_PAUSE], None, "pass"),
    ],
)
def test_what_was_asked_for_from_outside(
    plan: Plan, records: list[Record], before: str | None, verdict: str
) -> None:
    assert state.verdict(plan, records, before) == verdict


def test_several_policies_of_a_host_are_kept_apart() -> None:
    hosts = [PlannedHost("a", to_digest=policy, policy=policy) for policy in ("nginx", "redis")]
    made = make(rollout="r", epoch=1, policy="nginx+redis", created="", hosts=hosts, options=Options())
    records = [
        Record("apply", "changed", host="a", policy="nginx"),
        Record("apply", "failed", host="a", policy="redis"),
    ]
    assert [(s.policy, s.name) for s in state.hosts(made, records)] == [
        ("nginx", "changed"),
        ("redis", "failed"),
    ]
    assert [s.policy for s in state.failures(made, records)] == ["redis"]


END, BACK = Record("end", "rolled_back"), Record("rollback", "rolled_back", wave="pilot", host="a")
PASSES = [gate(wave, "pass") for wave in ("pilot", "wave 1", "wave 2")]


def test_a_wave_whose_hosts_went_back_is_not_judged_any_more(plan: Plan) -> None:
    assert state.passed([*PASSES, BACK]) == {"wave 1", "wave 2"}
    assert state.verdict(plan, [*PASSES, BACK]) == "inconclusive"
    assert state.verdict(plan, [*PASSES, gate("pilot", "abort"), BACK]) == "abort"


@pytest.mark.parametrize(
    ("records", "closed"),
    [
        (PASSES, False),
        ([*PASSES, BACK, END], True),
        ([*PASSES, BACK, Record("end", "owed")], True),
        ([*PASSES, BACK], True),  # begun, and nobody ended it
        ([END], True),
        # What a gate aborted goes back by itself, and resume may end that.
        ([gate("pilot", "abort"), BACK, Record("end", "abort")], False),
        ([gate("pilot", "abort"), BACK, Record("end", "abort"), BACK, END], True),
        # A journal of before, where somebody resumed all the same.
        ([*PASSES, BACK, END, Record("resume", "begun"), *PASSES, Record("end", "pass")], True),
    ],
)
def test_a_rollout_that_was_taken_back_is_closed(plan: Plan, records: list[Record], closed: bool) -> None:
    assert state.closed(records) is closed
    if closed:
        with pytest.raises(RolloutError, match="'nginx-e0001' was rolled back: it does not go on") as caught:
            state.refuse_closed(plan, records)
        assert caught.value.help_text == "Plan a new rollout."


def test_one_that_still_owes_hosts_says_so(plan: Plan) -> None:
    records = [*apply("a", "intent", "changed"), Record("rollback", "owed", host="a"), Record("end", "owed")]
    with pytest.raises(RolloutError, match="hosts are still owed: it does not go on") as caught:
        state.refuse_closed(plan, records)
    assert caught.value.help_text.startswith("Run the rollback again")


@pytest.mark.parametrize(
    ("record", "begun"),
    [
        (Record("apply", "intent", wave="pilot", host="a", epoch=2), True),
        (Record("apply", "intent", wave="wave 1", host="a", epoch=2), False),
        (Record("apply", "unreachable", wave="pilot", host="a", epoch=2), False),
        (Record("apply", "reverted", wave="pilot", host="a", epoch=2), False),
        (Record("gate", "pause", wave="pilot", epoch=2), False),
    ],
)
def test_a_wave_has_begun_with_its_first_intent(record: Record, begun: bool) -> None:
    assert state.begun([record], "pilot") is begun
    assert state.begun([record], "pilot", 2) is begun
    assert not state.begun([record], "pilot", 3)


INTENT = Record("apply", "intent", wave="pilot", host="a")


@pytest.mark.parametrize(
    ("records", "paused"),
    [
        ([INTENT, gate("pilot", "pause")], True),
        ([INTENT, gate("pilot", "pause"), Record("resume", "begun"), INTENT], True),
        # It waited for a window or for approvals.
        ([gate("pilot", "pause"), Record("resume", "begun"), INTENT], False),
        ([INTENT, gate("pilot", "pass"), gate("wave 1", "pause")], False),
        ([gate("pilot", "pause")], False),
    ],
)
def test_a_wave_that_waited_before_it_began_was_not_paused(records: list[Record], paused: bool) -> None:
    assert state.paused(records, "pilot") is paused


@pytest.mark.parametrize(("what", "stands"), [("pause", False), ("promote", False), ("abort", True)])
def test_what_was_asked_too_late_is_none_of_those_who_catch_up(what: str, stands: bool) -> None:
    records = [Record("control", what), Record("gate", "pass", wave="wave 9"), Record("end", "pass")]
    assert (state.asked(records, what) is not None) is stands
    assert state.asked([Record("control", "pause"), Record("end", "pause")], "pause") is not None
