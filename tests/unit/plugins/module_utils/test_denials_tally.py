# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils.denials_tally import Tally


def test_equal_denials_are_one_entry_with_its_times_and_a_few_samples() -> None:
    tally = Tally()
    for second in (5.25, 3.5, 4.0, 6.0):
        tally.add({"act": "read", "path": "/a"}, second, programs=f"/bin/{second}")
    tally.add({"act": "memory"}, count=2)
    first, second_ = tally.answer()
    assert first["count"] == 4
    assert (first["first"], first["last"]) == ("1970-01-01T00:00:03.500Z", "1970-01-01T00:00:06.000Z")
    assert first["programs"] == ["/bin/5.25", "/bin/3.5", "/bin/4.0"]
    assert second_ == {"act": "memory", "count": 2, "first": None, "last": None}


def test_kinds_beyond_the_limit_are_counted_and_not_kept() -> None:
    tally = Tally(groups=3)
    for number in range(1000):
        tally.add({"path": f"/{number}"}, float(number))
    assert len(tally.answer()) == 3 and tally.left_out == 997
    tally.add({"path": "/0"}, 1.0)
    assert tally.left_out == 997
    assert tally.counted(path="/0") == 2


@pytest.mark.parametrize("stamp", [1e18, 1e12, -1.0])
def test_a_time_that_no_calendar_has_is_none(stamp: float) -> None:
    tally = Tally()
    tally.add({"act": "memory"}, stamp)
    assert tally.answer() == [{"act": "memory", "count": 1, "first": None, "last": None}]
