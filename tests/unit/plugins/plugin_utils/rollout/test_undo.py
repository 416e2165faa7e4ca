# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import undo
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Options, PlannedHost, make

PLAN = make(
    rollout="nginx-e0003",
    epoch=3,
    policy="nginx",
    created="",
    hosts=[PlannedHost("a", "high", "x", "old", "new"), PlannedHost("b", "low", "", "", "", reachable=False)],
    options=Options(),
)


def applied(host: str, outcome: str) -> Record:
    return Record("apply", outcome, host=host)


@pytest.mark.parametrize(
    ("records", "receipts", "back"),
    [
        ([], {}, {}),
        ([applied("a", "changed")], {}, {"a": {"from": "old", "to": "new", "shown": False}}),
        ([applied("a", "intent")], {}, {"a": {"from": "old", "to": "new", "shown": False}}),
        ([applied("a", "unchanged")], {}, {}),
        ([applied("a", "reverted")], {"a": {"active": "old", "rollout": "nginx-e0002"}}, {}),
        # The journal lost its line, the host did not.
        (
            [],
            {"a": {"active": "new", "rollout": "nginx-e0003"}},
            {"a": {"from": "old", "to": "new", "shown": False}},
        ),
        ([], {"a": {"active": "old", "rollout": "nginx-e0003"}}, {}),
        # Never read before: its own receipt tells what it holds now.
        (
            [applied("b", "unreachable")],
            {"b": {"active": "other", "rollout": "nginx-e0003"}},
            {"b": {"from": "", "to": "other", "shown": False}},
        ),
        (
            [applied("b", "unreachable")],
            {"b": {"active": "other", "rollout": "nginx-e0001"}},
            {"b": {"from": "", "to": "", "shown": True}},
        ),
        (
            [applied("b", "unreachable")],
            {"b": {"unreachable": True}},
            {"b": {"from": "", "to": "", "shown": False}},
        ),
    ],
)
def test_who_goes_back(records: list[Record], receipts: dict[str, Any], back: dict[str, Any]) -> None:
    told = {host: {"": receipt} for host, receipt in receipts.items()}
    assert undo.hosts(PLAN, records, told) == {host: {"": entry} for host, entry in back.items()}


def test_lines() -> None:
    assert undo.lines(PLAN, {}) == ["No host has to go back."]
    away = {"from": "", "to": "", "shown": False}
    back = {
        "a": {"": {"from": "", "to": "0123456789abcdef", "shown": False}},
        "b": {"": away},
        "c": {"": away | {"shown": True}},
    }
    assert undo.lines(PLAN, back) == [
        "a: 0123456789ab -> unconfined",
        "b: not touched: nobody knows what it holds",
        "c: not touched: it holds nothing of this rollout",
    ]


def test_a_limit_is_refused_by_naming_the_hosts_left_out() -> None:
    records = [applied("a", "changed"), applied("b", "intent")]
    with pytest.raises(
        RolloutError, match="The limit 'b' leaves out a, and nothing was rolled back"
    ) as caught:
        undo.refuse_limit(PLAN, records, "b", ["b"])
    assert "the journal of 'nginx-e0003'" in caught.value.help_text


def test_a_limit_that_covers_all_is_refused_too() -> None:
    with pytest.raises(RolloutError, match="The limit 'a' cannot be part of a rollback"):
        undo.refuse_limit(PLAN, [applied("a", "changed")], "a", ["a"])


@pytest.mark.parametrize("name", ["fleet", "rollout_fleet"])
def test_a_fleet_is_refused_by_naming_the_hosts_left_out(name: str) -> None:
    records = [applied("a", "changed"), applied("b", "intent")]
    with pytest.raises(RolloutError, match="The fleet 'web' leaves out a, and nothing was done") as caught:
        undo.refuse_fleet(PLAN, records, {"fleet": "all", name: "web"}, ["b"], ["a", "b"])
    assert "without -e fleet=" in caught.value.help_text


@pytest.mark.parametrize(
    ("extra", "fleet", "everyone"),
    [
        ({"fleet": "web"}, ["a", "b", "c"], ["a", "b", "c"]),
        ({"fleet": "a,b"}, ["b"], ["b"]),  # who is not in the inventory any more is left out by nobody
        ({}, ["b"], ["a", "b"]),  # it stands in the inventory
    ],
)
def test_a_fleet_that_leaves_out_nobody_does_no_harm(
    extra: dict[str, Any], fleet: list[str], everyone: list[str]
) -> None:
    undo.refuse_fleet(PLAN, [applied("a", "changed"), applied("b", "intent")], extra, fleet, everyone)


@pytest.mark.parametrize(("fault", "origin"), [("", "before"), ("line 2 was changed", "")])
def test_a_host_that_nobody_could_read_knows_itself_what_it_had(fault: str, origin: str) -> None:
    told = {"rollout": "nginx-e0003", "event": "APPLYING", "epoch": 3}
    receipt = {
        "active": "new",
        "rollout": "nginx-e0003",
        "receipts": {"fault": fault},
        "recent": [
            {**told, "rollout": "nginx-e0001", "from": "", "to": "new"},
            {**told, "from": "before", "to": "new"},
        ],
    }
    back = undo.hosts(PLAN, [applied("b", "unreachable")], {"b": {"": receipt}})
    assert back == {"b": {"": {"from": origin, "to": "new", "shown": False}}}


OVER = {"event": "CONFIRMED", "rollout": "nginx-e0004", "from": "new", "to": "newer"}
REVERTED = {"event": "REVERTED", "rollout": "nginx-e0003", "from": "old", "to": "new"}
CHANGED = [applied("a", "intent"), applied("a", "changed")]


@pytest.mark.parametrize(
    ("records", "recent", "fault", "later"),
    [
        (CHANGED, [OVER], "", True),
        # Two rollouts later, and a third that went back.
        (CHANGED, [OVER, {**OVER, "from": "newer", "to": "newest"}, {**OVER, "from": "newest"}], "", True),
        # Its own guard took it back before the next one came.
        (CHANGED, [REVERTED, {**OVER, "from": "old"}], "", False),
        (CHANGED, [{**OVER, "from": ""}], "", False),
        # What nobody can tell is not shown to be back.
        (CHANGED, [], "", True),
        (CHANGED, [{**OVER, "from": "old"}], "line 2 was changed", True),
        # It was back already, and the next rollout came after that.
        ([*CHANGED, Record("rollback", "rolled_back", host="a")], [], "", False),
    ],
)
def test_what_came_over_it_since_is_not_back(
    records: list[Record], recent: list[dict[str, str]], fault: str, later: bool
) -> None:
    receipt = {"active": "newer", "rollout": "nginx-e0004", "recent": recent, "receipts": {"fault": fault}}
    told = undo.hosts(PLAN, records, {"a": {"": receipt}})
    text = "it holds generation 'newer' of nginx-e0004, which came later: take that back first"
    assert told["a"][""].get("later", "") == (text if later else "")
    assert undo.lines(PLAN, told) == [f"a: {text}" if later else "a: new -> old"]


def entry(rollout: str, origin: str, to: str, event: str = "CONFIRMED") -> dict[str, Any]:
    return {"event": event, "rollout": rollout, "from": origin, "to": to, "epoch": 1}


@pytest.mark.parametrize(
    ("active", "by", "recent", "back"),
    [
        # A later rollout came over it and was taken back: what that one left is no origin.
        (
            "new",
            "nginx-e0004",
            [
                entry("nginx-e0003", "", "new"),
                entry("nginx-e0004", "new", "newer"),
                entry("nginx-e0004", "newer", "new"),
            ],
            {"from": "", "to": "new", "shown": False},
        ),
        # Between plan and change another rollout was there: the journal has only what was planned.
        (
            "new",
            "nginx-e0003",
            [entry("nginx-e0002", "old", "middle"), entry("nginx-e0003", "middle", "new")],
            {"from": "middle", "to": "new", "shown": False},
        ),
        # And it is back there already: once more changes nothing.
        (
            "middle",
            "nginx-e0003",
            [entry("nginx-e0003", "middle", "new"), entry("nginx-e0003", "new", "middle")],
            {"from": "middle", "to": "new", "shown": False},
        ),
    ],
)
def test_the_hosts_own_receipts_know_better_where_it_came_from(
    active: str, by: str, recent: list[dict[str, Any]], back: dict[str, Any]
) -> None:
    receipt = {"active": active, "rollout": by, "recent": recent}
    assert undo.hosts(PLAN, CHANGED, {"a": {"": receipt}}) == {"a": {"": back}}
    # What nobody can trust says nothing.
    torn = receipt | {"receipts": {"fault": "line 2 was changed"}}
    assert undo.hosts(PLAN, CHANGED, {"a": {"": torn}})["a"][""]["from"] == "old"
