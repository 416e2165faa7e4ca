# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import summary
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Options, PlannedHost, make

PLAN = make(
    rollout="nginx-e0003",
    epoch=3,
    policy="nginx",
    created="",
    hosts=[
        PlannedHost("edge", "high", "x", "", "b" * 64),
        PlannedHost("web1", "low", "x", "b" * 64, "b" * 64),
        PlannedHost("web22", "low", "", "", "", reachable=False),
    ],
    options=Options(waves=(100,)),
)
JOURNAL = Path("/srv/rollouts/nginx-e0003/journal.jsonl")


def test_the_end_counts_hosts_and_names_what_is_owed() -> None:
    records = [
        Record("apply", "changed", host="edge", wave="pilot"),
        Record("gate", "pass", wave="pilot", detail="1 of 1 hosts are good."),
        Record("apply", "unreachable", host="web22", wave="wave 1"),
        Record("gate", "abort", wave="wave 1", detail="Failed hosts: 1, allowed: 0."),
        Record("rollback", "rolled_back", host="edge", wave="pilot"),
        Record("rollback", "owed", host="web22", wave="wave 1"),
    ]
    assert summary.end_lines(PLAN, records, "abort", JOURNAL) == [
        "nginx-e0003 aborted: every host that was changed had to go back.",
        "  1 owed: web22",
        "  1 rolled_back: edge",
        "  1 untouched: web1",
        "  gate pilot: pass. 1 of 1 hosts are good.",
        "  gate wave 1: abort. Failed hosts: 1, allowed: 0.",
        "  OWED: web22 could not be shown to be back; run the rollback again.",
        f"  journal: {JOURNAL}",
    ]


def test_a_rollback_without_anything_to_undo_says_so() -> None:
    lines = summary.end_lines(PLAN, [Record("apply", "unchanged", host="edge")], "rolled_back", JOURNAL)
    assert lines[0] == "nginx-e0003 rolled back: there was nothing to take back."
    back = [Record("apply", "changed", host="edge"), Record("rollback", "rolled_back", host="edge")]
    lines = summary.end_lines(PLAN, back, "rolled_back", JOURNAL)
    assert lines[0] == "nginx-e0003 rolled back: every host that was changed is back."


def test_hosts_that_stay_are_not_owed() -> None:
    records = [Record("apply", "changed", host="edge"), Record("gate", "inconclusive", wave="pilot")]
    lines = summary.end_lines(PLAN, records, "inconclusive", JOURNAL)
    assert lines[0] == "nginx-e0003 stopped: not enough was seen to go on; hosts stay as they are."
    assert not any("OWED" in line for line in lines)


def test_hosts_that_hold_what_came_later_are_told_apart() -> None:
    later = "it holds generation 'newer' of nginx-e0004, which came later: take that back first"
    records = [
        *(Record("apply", "changed", host=host) for host in ("edge", "web22")),
        Record("rollback", "owed", host="edge", detail="no route to host"),
        Record("rollback", "owed", host="web22", detail=later),
    ]
    assert summary.end_lines(PLAN, records, "owed", JOURNAL)[-3:-1] == [
        "  OWED: edge could not be shown to be back; run the rollback again.",
        "  OWED: web22 hold what came later; roll that back first, then this one again.",
    ]


CHANGED = Record("apply", "changed", host="edge", wave="pilot")
BACK = "hosts whose change soaks take it back within 300 seconds"


@pytest.mark.parametrize(
    ("records", "end", "lapse", "told"),
    [
        ([CHANGED, Record("gate", "inconclusive", wave="pilot")], "inconclusive", "revert", BACK),
        ([CHANGED, Record("gate", "inconclusive", wave="pilot")], "pause", "revert", BACK),
        ([replace(CHANGED, wave="catch-up")], "inconclusive", "revert", BACK),
        ([CHANGED, Record("gate", "inconclusive", wave="pilot")], "inconclusive", "hold", summary.STAY),
        ([CHANGED, Record("gate", "pause", wave="pilot")], "pause", "revert", summary.STAY),
        # What came before it has passed, and the next wave never began.
        (
            [CHANGED, Record("gate", "pass", wave="pilot"), Record("gate", "inconclusive", wave="wave 1")],
            "inconclusive",
            "revert",
            summary.STAY,
        ),
    ],
)
def test_what_soaks_does_not_stay(records: list[Record], end: str, lapse: str, told: str) -> None:
    options = replace(PLAN.options, poll=60, lease=300, lapse=lapse)
    lines = summary.end_lines(replace(PLAN, options=options), records, end, JOURNAL)
    assert told in lines[0]
    assert end != "pause" or lines[0].endswith(f"paused: {told}, and resume goes on.")


def test_hosts_that_catch_up_go_on_by_catching_up() -> None:
    told = summary.end_lines(PLAN, [replace(CHANGED, wave="catch-up")], "pause", JOURNAL, "catch_up")
    assert told[0] == f"{PLAN.rollout} paused: {summary.STAY}, and catch_up goes on."
