# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import windows


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# 2026-11-26 is a Thursday.
@pytest.mark.parametrize(
    ("window", "when", "open_"),
    [
        ("22:00-04:00", "2026-11-26T21:59", False),
        ("22:00-04:00", "2026-11-26T22:00", True),
        ("22:00-04:00", "2026-11-27T03:59", True),
        ("22:00-04:00", "2026-11-27T04:00", False),
        ("thu 22:00-04:00", "2026-11-27T03:00", True),
        ("fri 22:00-04:00", "2026-11-27T03:00", False),
        ("sat-sun 00:00-23:59", "2026-11-26T12:00", False),
        ("fri-mon 08:00-18:00", "2026-11-29T12:00", True),
        ("mon,thu 08:00-18:00", "2026-11-26T12:00", True),
        ("00:00-00:00", "2026-11-26T12:00", True),
    ],
)
def test_open_or_not(window: str, when: str, open_: bool) -> None:
    assert windows.is_open([window], "UTC", at(when)) is open_


def test_the_time_zone_counts_and_the_next_window_is_named() -> None:
    now = at("2026-11-26T12:00")
    assert windows.is_open(["13:00-14:00"], "Europe/Berlin", now)
    assert windows.closed(["13:00-14:00"], "Europe/Berlin", now) == ""
    assert windows.closed(["sun 02:00-03:00"], "Europe/Berlin", now) == (
        "Outside of the maintenance windows; the next one begins 2026-11-29T02:00+01:00."
    )
    assert windows.is_open([], "UTC", now)


@pytest.mark.parametrize("window", ["", "22-04", "24:00-01:00", "xyz 10:00-11:00", "mon tue 10:00-11:00"])
def test_a_window_that_makes_no_sense(window: str) -> None:
    assert list(windows.faults([window], "UTC")) == [
        f"rollout_windows has '{window}'; write '22:00-04:00' or 'mon-fri 22:00-04:00'."
    ]


def test_an_unknown_time_zone() -> None:
    assert list(windows.faults([], "Mars/Olympus")) == [
        "rollout_timezone is 'Mars/Olympus'; write a name such as 'Europe/Berlin' or 'UTC'."
    ]
