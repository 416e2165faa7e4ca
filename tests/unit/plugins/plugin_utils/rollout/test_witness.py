# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import witness

BAD = {"receipts": {"valid": False, "fault": "line 2 is torn or was changed"}}


@pytest.mark.parametrize(
    ("receipt", "found"),
    [
        (BAD, "line 2 is torn or was changed"),
        ({"receipts": {"valid": True, "fault": ""}}, ""),
        ({"active": ""}, ""),
        ({"unreachable": True}, ""),
        (None, ""),
    ],
)
def test_what_is_wrong_with_a_chain(receipt: dict[str, Any] | None, found: str) -> None:
    assert witness.fault(receipt) == found


def test_each_host_is_told_once() -> None:
    receipts = {"a": {"nginx": BAD, "redis": BAD}, "b": {"nginx": None}, "c": {"nginx": {"active": "x"}}}
    assert witness.lines(receipts) == ["a: its receipts cannot be trusted: line 2 is torn or was changed"]


def test_what_a_host_had_before() -> None:
    def receipt(*steps: tuple[str, str, str, str]) -> dict[str, object]:
        return {
            "recent": [dict(zip(("event", "rollout", "from", "to"), step, strict=True)) for step in steps]
        }

    came = ("CONFIRMED", "e3", "old", "new")
    assert witness.origin(receipt(came), "e3", "new") == "old"
    assert witness.origin(receipt(came, ("APPLYING", "e3", "mid", "new")), "e3", "new") == "mid"
    assert witness.origin(receipt(("CONFIRMED", "e3", "", "new")), "e3", "new") == ""
    for none in (
        receipt(),
        receipt(("REVERTED", "e3", "old", "new")),
        receipt(("CONFIRMED", "e2", "old", "new")),
        {},
        None,
    ):
        assert witness.origin(none, "e3", "new") is None
    assert witness.origin(receipt(came) | {"receipts": {"fault": "line 1"}}, "e3", "new") is None
    # Nobody knows what it was to bring: the first of it, unless the list begins with that.
    first = ("CONFIRMED", "e2", "", "old")
    assert witness.origin(receipt(first, came, ("CONFIRMED", "e3", "new", "old")), "e3", "") == "old"
    assert witness.origin(receipt(came), "e3", "") is None
