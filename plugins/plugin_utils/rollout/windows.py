# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance windows: ``mon-fri 22:00-04:00``. A wave begins only while one is open; none given is always open."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:-[a-z]{3})?(?:,[a-z]{3}(?:-[a-z]{3})?)*)\s+)?"
    r"(?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)"
)


def faults(windows: Sequence[str], timezone: str) -> Iterator[str]:
    for window in windows:
        try:
            _parse(window)
        except ValueError:
            yield f"rollout_windows has '{window}'; write '22:00-04:00' or 'mon-fri 22:00-04:00'."
    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"rollout_timezone is '{timezone}'; write a name such as 'Europe/Berlin' or 'UTC'."


def is_open(windows: Sequence[str], timezone: str, now: datetime) -> bool:
    """Whether a wave may begin at ``now`` (aware). A window over midnight belongs to the day on which it begins."""
    return not windows or any(begin <= now < end for begin, end in _around(windows, timezone, now))


def opens(windows: Sequence[str], timezone: str, now: datetime) -> datetime | None:
    """When the next window begins, or None where there is none."""
    return min((begin for begin, _end in _around(windows, timezone, now) if begin > now), default=None)


def closed(windows: Sequence[str], timezone: str, now: datetime) -> str:
    """ "" while a window is open, else a sentence that says when the next one begins."""
    if is_open(windows, timezone, now):
        return ""
    begin = opens(windows, timezone, now)
    when = f"the next one begins {begin.isoformat(timespec='minutes')}" if begin else "there is none to come"
    return f"Outside of the maintenance windows; {when}."


def _around(windows: Sequence[str], timezone: str, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    zone = ZoneInfo(timezone)
    today = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    for window in windows:
        days, begin, end = _parse(window)
        for offset in range(-1, 8):
            day = today + timedelta(days=offset)
            if day.weekday() in days:
                first = day.replace(hour=begin // 60, minute=begin % 60)
                last = (day + timedelta(days=int(end <= begin))).replace(hour=end // 60, minute=end % 60)
                yield first, last


def _parse(window: str) -> tuple[frozenset[int], int, int]:
    match = _WINDOW.fullmatch(window.strip().lower())
    if match is None:
        raise ValueError(window)
    days: set[int] = set()
    for part in (match["days"] or "mon-sun").split(","):
        first, _sep, last = part.partition("-")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days |= {number % 7 for number in range(begin, end + 1 + (7 if end < begin else 0))}
    minutes = []
    for text in (match["begin"], match["end"]):
        hour, minute = int(text[:2]), int(text[3:])
        if hour > 23 or minute > 59:
            raise ValueError(window)
        minutes.append(hour * 60 + minute)
    return frozenset(days), minutes[0], minutes[1]
