# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lost ledger, rebuilt from what hosts say."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import rebuild, state
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record

OLD, NEW = "a" * 64, "b" * 64


def entry(event: str, back: bool = False, rollout: str = "web-e0003", epoch: int = 3) -> dict[str, Any]:
    origin, target = (NEW, OLD) if back else (OLD, NEW)
    return {"event": event, "from": origin, "to": target, "rollout": rollout, "epoch": epoch}


def receipt(*entries: dict[str, Any], fault: str = "") -> dict[str, Any]:
    return {"recent": list(entries), "receipts": {"fault": fault}}


RECEIPTS = {
    "changed": {"web": receipt(entry("APPLYING"), entry("CONFIRMED"))},
    "reverted": {"web": receipt(entry("APPLYING"), entry("REVERTED"))},
    "broken": {"web": receipt(entry("APPLYING"), entry("REVERT_FAILED"))},
    "halfway": {"web": receipt(entry("APPLYING"))},
    "returned": {
        "web": receipt(
            entry("APPLYING"), entry("CONFIRMED"), entry("APPLYING", back=True), entry("CONFIRMED", back=True)
        )
    },
    "elsewhere": {"web": receipt(entry("APPLYING", rollout="web-e0002", epoch=2))},
    "silent": {"web": None},
}


def test_the_newest_rollout_is_the_one_of_the_highest_epoch() -> None:
    assert rebuild.latest(RECEIPTS) == ("web-e0003", 3)
    with pytest.raises(RolloutError, match="No host has a receipt"):
        rebuild.latest({"a": {"web": None}, "b": {"web": receipt({"event": "CONFIRMED"})}})


def test_hosts_are_what_their_receipts_amount_to() -> None:
    made, records = rebuild.rebuild("web-e0003", 3, ["web"], RECEIPTS, "2026-11-24T10:00:00Z")
    assert {one.host: one.name for one in state.hosts(made, records)} == {
        "broken": "failed",
        "changed": "changed",
        "halfway": "intent",
        "returned": "rolled_back",
        "reverted": "reverted",
    }
    assert {(one.name, one.from_digest, one.to_digest) for one in made.hosts} == {
        (name, OLD, NEW) for name in ("broken", "changed", "halfway", "returned", "reverted")
    }


def test_a_rebuilt_rollout_was_judged_by_nobody() -> None:
    made, records = rebuild.rebuild("web-e0003", 3, ["web"], RECEIPTS, "2026-11-24T10:00:00Z")
    assert [wave.name for wave in made.waves] == [rebuild.WAVE]
    assert not any(record.phase in ("gate", "end") for record in records)


def test_receipts_that_were_tampered_with_say_so() -> None:
    told = {"a": {"web": receipt(entry("APPLYING"), fault="line 2 does not follow")}}
    _made, records = rebuild.rebuild("web-e0003", 3, ["web"], told, "now")
    assert records[1].detail == "its receipts cannot be trusted: line 2 does not follow"


def test_entries_that_are_no_entries_are_left_out() -> None:
    told = {"a": {"web": {"recent": ["text", None, entry("CONFIRMED")]}}, "b": {"web": {"recent": "text"}}}
    made, _records = rebuild.rebuild("web-e0003", 3, ["web"], told, "now")
    assert made.order == ("a",)


def test_who_did_not_answer_is_owed() -> None:
    asked = {"a": {"web": receipt(entry("APPLYING"), entry("CONFIRMED"))}, "b": {"web": {"failed": True}}}
    made, records = rebuild.rebuild("web-e0003", 3, ["web"], asked, "now", silent=[("b", "web")])
    assert made.order == ("a", "b") and not made.of("b")[0].reachable
    assert [(one.host, one.name, one.owed) for one in state.hosts(made, records)] == [
        ("a", "changed", True),
        ("b", "unreachable", True),
    ]
    assert rebuild.is_rebuilt(made) and rebuild.is_unused(records)
    assert not rebuild.is_unused([*records, Record("rollback", "intent", host="a")])
    assert not rebuild.is_unused([*records, Record("end", "owed")])


@pytest.mark.parametrize(
    ("result", "silent"),
    [
        (None, ["web", "db"]),
        ({"unreachable": True}, ["web", "db"]),
        ({"policies": {"web": {"unreachable": True}, "db": {"active": ""}}}, ["web"]),
        ({"policies": {"db": {"active": "x"}}}, ["web"]),  # it was asked for both
    ],
)
def test_who_did_not_answer(result: Any, silent: list[str]) -> None:
    assert rebuild.silent(result, ["web", "db"]) == silent


def test_only_what_every_host_holds_can_be_judged() -> None:
    asked = {"a": {"web": receipt(entry("APPLYING"), entry("CONFIRMED"))}, "b": {"web": None}}
    made, records = rebuild.rebuild("web-e0003", 3, ["web"], asked, "now", silent=[("b", "web")])
    holds = {"web": {"active": NEW}}
    assert rebuild.unlike(made, records, {"a": holds}) == ["b does not answer"]
    assert rebuild.unlike(made, records, {"a": {"web": {"active": OLD}}, "b": holds}) == [
        f"a holds '{OLD[:12]}', not '{NEW[:12]}'",
        f"b holds '{NEW[:12]}', not 'nobody knows what'",
    ]
    pending = {"web": {"active": NEW, "pending": {"to": NEW}}}
    assert rebuild.unlike(made, records, {"a": pending})[0] == "a is being changed"
    alone, records = rebuild.rebuild("web-e0003", 3, ["web"], {"a": asked["a"]}, "now")
    assert rebuild.unlike(alone, records, {"a": holds}) == []
