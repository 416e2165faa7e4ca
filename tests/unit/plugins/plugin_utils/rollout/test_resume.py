# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import rebuild, resume, state
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Options, PlannedHost, make

PLAN = make(
    rollout="nginx-e0003",
    epoch=3,
    policy="nginx",
    created="",
    hosts=[PlannedHost(name, "medium", "x", "old", "new", policy="nginx") for name in ("a", "b")],
    options=Options(waves=(100,)),
)


def applied(host: str, *outcomes: str, wave: str = "pilot") -> list[Record]:
    return [
        Record("apply", outcome, wave=wave, host=host, policy="nginx", from_digest="old", to_digest="new")
        for outcome in outcomes
    ]


def gate(wave: str, outcome: str) -> Record:
    return Record("gate", outcome, wave=wave)


NEW = {"active": "new", "rollout": "nginx-e0003", "pending": None}
OLD = {"active": "old", "rollout": "nginx-e0002", "pending": None}


@pytest.mark.parametrize(
    ("outcomes", "receipt", "found"),
    [
        ((), NEW, ["changed"]),
        ((), OLD, []),
        (("intent",), NEW, ["changed"]),
        (("intent",), OLD, ["reverted"]),
        (("intent",), NEW | {"pending": {"to": "new"}}, []),
        (("intent",), None, []),
        (("intent",), {"active": None}, []),
        (("intent", "unreachable"), NEW, ["changed"]),
        (("intent", "failed"), OLD, ["reverted"]),
        (("intent", "changed"), NEW, []),
        (("intent", "changed"), OLD, ["reverted"]),
        (("intent", "reverted"), OLD, []),
        # Receipts that were changed are no witness of who made it; what is active needs none.
        (("intent",), NEW | {"receipts": {"fault": "line 2 was changed"}}, []),
        (("intent", "changed"), OLD | {"receipts": {"fault": "line 2 was changed"}}, ["reverted"]),
        # Somebody else's generation is nobody's outcome.
        (("intent",), {"active": "other", "rollout": "x", "pending": None}, []),
    ],
)
def test_what_a_receipt_knows_that_the_journal_does_not(
    outcomes: tuple[str, ...], receipt: dict[str, Any] | None, found: list[str]
) -> None:
    records = applied("a", *outcomes)
    receipts = {"a": {"nginx": receipt}}
    news = resume.reconcile(PLAN, records, receipts, 4)
    assert [(one.outcome, one.epoch) for one in news] == [(outcome, 4) for outcome in found]
    # The second time there is nothing new.
    assert resume.reconcile(PLAN, [*records, *news], receipts, 5) == []


def test_what_is_left_and_what_was_touched_again_is_left_again() -> None:
    records = [*applied("a", "intent", "changed"), gate("pilot", "pass")]
    assert resume.left(PLAN, []) == ("pilot", "wave 1")
    assert resume.left(PLAN, records) == ("wave 1",)
    assert resume.left(PLAN, [*records, *applied("a", "reverted")]) == ("pilot", "wave 1")
    assert state.verdict(PLAN, [*records, *applied("a", "reverted")], "wave 1") == "inconclusive"
    aborted = [*records, gate("wave 1", "abort"), *applied("b", "intent", wave="wave 1")]
    assert state.verdict(PLAN, aborted) == "abort"


def test_hosts_that_catch_up_do_not_open_the_waves_again() -> None:
    records = [gate("pilot", "pass"), gate("wave 1", "pass"), *applied("b", "intent", wave=resume.CATCH_UP)]
    assert resume.left(PLAN, records) == ()


SOAKS = NEW | {"pending": {"to": "new", "rollout": "nginx-e0003"}}


@pytest.mark.parametrize(
    ("receipt", "lapse", "left"),
    [
        (NEW, "revert", ("wave 1",)),
        (SOAKS, "revert", ("pilot", "wave 1")),
        (SOAKS, "hold", ("wave 1",)),
        (SOAKS | {"pending": {"to": "other", "rollout": "nginx-e0004"}}, "revert", ("wave 1",)),
        (None, "revert", ("wave 1",)),
    ],
)
def test_what_soaks_has_not_passed(receipt: dict[str, Any] | None, lapse: str, left: tuple[str, ...]) -> None:
    """A person vouched for its wave: only a gate that passes keeps the hosts from taking it back."""
    plan = replace(PLAN, options=replace(PLAN.options, poll=1, lease=60, lapse=lapse))
    records = [*applied("a", "intent", "changed"), gate("pilot", "inconclusive"), gate("pilot", "pass")]
    assert resume.left(plan, records, {"a": {"nginx": receipt}}) == left


def test_who_soaks_is_behind() -> None:
    records = [*applied("a", "changed"), *applied("b", "changed"), gate("pilot", "pass")]
    assert resume.behind(PLAN, records, {"a": {"nginx": NEW}, "b": {"nginx": SOAKS}}) == (["b"], [], [])


PASSED = [
    *applied("a", "changed"),
    gate("pilot", "pass"),
    *applied("b", "intent", "unreachable", wave="wave 1"),
    gate("wave 1", "pass"),
]


@pytest.mark.parametrize(
    ("told", "behind"),
    [
        ({}, ([], ["b"])),
        ({"b": OLD}, (["b"], [])),
        ({"a": {"active": ""}, "b": NEW}, (["a", "b"], [])),
    ],
)
def test_who_is_behind(told: dict[str, Any], behind: tuple[list[str], list[str]]) -> None:
    receipts = {host: {"nginx": receipt} for host, receipt in told.items()}
    assert resume.behind(PLAN, PASSED, receipts) == (*behind, [])


@pytest.mark.parametrize("told", [{}, {"b": {"nginx": OLD}}])
def test_who_does_not_take_the_policy_any_more_is_neither_behind_nor_away(told: dict[str, Any]) -> None:
    assert resume.behind(PLAN, PASSED, told, {("a", "nginx"), ("b", "nginx")}) == ([], [], [("b", "nginx")])


def caught_up(host: str, epoch: int, *outcomes: str) -> list[Record]:
    """One run: what came of the apply, and of its gate where there was one."""
    apply, gates = outcomes[:2], outcomes[2:]
    records = applied(host, *apply, wave=resume.CATCH_UP)
    records += [gate(resume.CATCH_UP, outcome) for outcome in gates]
    return [replace(record, epoch=epoch) for record in records]


@pytest.mark.parametrize(
    ("runs", "behind"),
    [
        ([caught_up("b", 4, "intent", "changed", "pass")], []),
        ([caught_up("b", 4, "intent", "changed", "inconclusive")], ["b"]),
        ([caught_up("b", 4, "intent", "changed")], ["b"]),  # interrupted while it soaked
        # Another host's run says nothing of it, be it good or bad.
        ([caught_up("b", 4, "intent", "changed"), caught_up("a", 5, "intent", "changed", "pass")], ["b"]),
        (
            [
                caught_up("b", 4, "intent", "changed", "pass"),
                caught_up("a", 5, "intent", "changed", "inconclusive"),
            ],
            ["a"],
        ),
        (
            [
                caught_up("b", 4, "intent", "changed", "inconclusive"),
                caught_up("b", 5, "intent", "unchanged", "pass"),
            ],
            [],
        ),
    ],
)
def test_who_caught_up_and_was_not_judged_good_is_still_behind(
    runs: list[list[Record]], behind: list[str]
) -> None:
    records = [*PASSED, *(record for run in runs for record in run)]
    receipts = {host: {"nginx": NEW} for host in ("a", "b")}
    assert resume.behind(PLAN, records, receipts) == (behind, [], [])
    # Who is away by now is not taken for good.
    assert resume.behind(PLAN, records, {}) == ([], behind, [])


def test_a_wave_that_somebody_vouched_for_passed() -> None:
    records = [*applied("a", "changed"), gate("pilot", "pause"), gate("pilot", "pass")]
    assert resume.behind(PLAN, records, {"a": {"nginx": NEW}})[0] == []


def test_a_receipt_tells_where_the_host_really_came_from() -> None:
    """The journal has the intent, and so the generation of the plan."""
    steps = [{"event": "CONFIRMED", "rollout": "nginx-e0003", "from": "middle", "to": "new"}]
    news = resume.reconcile(PLAN, applied("a", "intent"), {"a": {"nginx": NEW | {"recent": steps}}}, 4)
    assert [(one.outcome, one.from_digest, one.to_digest) for one in news] == [("changed", "middle", "new")]


@pytest.mark.parametrize(
    ("records", "wave"),
    [
        ([], ""),
        ([*applied("a", "intent", "changed"), gate("pilot", "pause")], "pilot"),
        ([*applied("a", "intent", "changed"), gate("pilot", "inconclusive")], "pilot"),
        ([*applied("a", "intent", "changed"), gate("pilot", "pass")], ""),
        ([*applied("a", "intent", "changed"), gate("pilot", "abort")], ""),
        ([gate("pilot", "pause")], ""),  # before it began: an approval or a window is missing
        ([*applied("a", "intent"), gate("pilot", "inconclusive")], ""),
    ],
)
def test_for_which_wave_a_person_can_vouch(records: list[Record], wave: str) -> None:
    assert resume.stands(records) == wave


def entry(event: str, origin: str, target: str, rollout: str = "nginx-e0003") -> dict[str, Any]:
    return {"event": event, "from": origin, "to": target, "rollout": rollout, "epoch": int(rollout[-1])}


@pytest.mark.parametrize(
    ("recent", "word"),
    [
        ([entry("APPLYING", "old", "new"), entry("PENDING", "old", "new")], "intent"),
        ([entry("APPLYING", "old", "new"), entry("CONFIRMED", "old", "new")], "changed"),
        ([entry("APPLYING", "old", "new"), entry("REVERTED", "old", "new")], "reverted"),
        ([entry("APPLYING", "old", "new"), entry("REVERT_FAILED", "old", "new")], "failed"),
        (
            [
                entry("APPLYING", "old", "new"),
                entry("CONFIRMED", "old", "new"),
                entry("APPLYING", "new", "old"),
                entry("CONFIRMED", "new", "old"),
            ],
            "rolled_back",
        ),
    ],
)
def test_a_host_out_of_its_receipts(recent: list[dict[str, Any]], word: str) -> None:
    earlier = entry("CONFIRMED", "", "old", "nginx-e0001")
    receipts = {"a": {"nginx": {"recent": [earlier, *recent]}}, "b": {"nginx": {"recent": [earlier]}}}
    assert rebuild.latest(receipts) == ("nginx-e0003", 3)
    plan, records = rebuild.rebuild("nginx-e0003", 3, ["nginx"], receipts, "")
    [seen] = state.hosts(plan, records)
    assert (seen.host, seen.name, seen.from_digest, seen.to_digest) == ("a", word, "old", "new")
    assert state.verdict(plan, records) == "inconclusive"


def test_receipts_that_were_tampered_with_say_so() -> None:
    receipt = {"recent": [entry("APPLYING", "", "n")], "receipts": {"valid": False, "fault": "line 2 is bad"}}
    _plan, records = rebuild.rebuild("nginx-e0003", 3, ["nginx"], {"a": {"nginx": receipt}}, "")
    assert records[-1].detail == "its receipts cannot be trusted: line 2 is bad"


def test_no_receipt_at_all() -> None:
    with pytest.raises(RolloutError, match="No host has a receipt of a rollout"):
        rebuild.latest({"a": {"nginx": None}, "b": {"nginx": {"recent": []}}})
