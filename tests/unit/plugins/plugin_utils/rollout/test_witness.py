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
