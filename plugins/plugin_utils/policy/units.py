# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes, durations, rates, percent and ports as people write them, and the numbers that they mean.

The schema has checked the form of these texts; here they are read, and what a form cannot say is refused.
"""

from __future__ import annotations

import re
from typing import Any

from .faults import Refusal, quote
from .model import Port

SIZES = {
    "": 1, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
    "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
}  # fmt: skip
DURATIONS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
MAX_SIZE = 2**62


def size(value: Any) -> int:
    """Bytes of ``512MiB``, ``1GB`` or a plain number."""
    found = re.fullmatch(r"([0-9]+)([A-Za-z]*)", str(value))
    if not found or found[2] not in SIZES:
        raise Refusal(f"{quote(value)} is no size.", "write a size, such as 512MiB, 2GiB or 1GB")
    total = int(found[1]) * SIZES[found[2]]
    if not 0 < total <= MAX_SIZE:
        raise Refusal(f"the size {quote(value)} is out of range.", "write from 1 byte to 4194304TiB")
    return total


def duration(value: Any) -> float:
    """Seconds of ``30s``, ``10min``, ``2h`` or ``90d``."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([a-z]+)", str(value))
    if not found or found[2] not in DURATIONS:
        raise Refusal(
            f"{quote(value)} is no duration.", "write a duration with its unit, such as 30s or 10min"
        )
    seconds = round(float(found[1]) * DURATIONS[found[2]], 3)
    if not 0 < seconds <= 36500 * 86400:
        raise Refusal(
            f"the duration {quote(value)} is out of range.", "write more than nothing and at most 36500d"
        )
    return seconds


def count_in_time(value: Any) -> tuple[int, float]:
    """Count and seconds of ``200/s`` or ``5/10min``."""
    count, _sep, time = str(value).partition("/")
    if not count.isdecimal() or not time:
        raise Refusal(f"{quote(value)} is no rate.", "write a count per time, such as 200/s or 5/10min")
    return int(count), duration(time if time[0].isdecimal() else f"1{time}")


def rate(value: Any) -> float:
    """Events per second of ``200/s``."""
    count, seconds = count_in_time(value)
    if count * 86400 < seconds:
        raise Refusal(
            f"the rate {quote(value)} is less than one a day.", "write at least 1/d, or leave the grant out"
        )
    return count / seconds


def percent(value: Any) -> int:
    """The number of ``150%``."""
    number = str(value).removesuffix("%")
    if not number.isdecimal() or number == str(value):
        raise Refusal(f"{quote(value)} is no percentage.", "write percent of one processor, such as 150%")
    return int(number)


def port(value: Any) -> Port:
    """``tcp/80``, ``udp/5000-5010`` or ``tcp/*`` (0 to 65535)."""
    protocol, _sep, span = str(value).partition("/")
    if span == "*":
        return Port(protocol, 0, 65535)
    first, _sep, last = span.partition("-")
    if protocol not in ("tcp", "udp") or not first.isdecimal() or not (last or first).isdecimal():
        raise Refusal(
            f"{quote(value)} is no port.", "write a protocol and a port, such as tcp/80 or udp/5000-5010"
        )
    low, high = int(first), int(last or first)
    if not 1 <= low <= 65535 or not 1 <= high <= 65535:
        raise Refusal(
            f"the port {quote(value)} is out of range.", "write ports from 1 to 65535, or '*' for all"
        )
    if low > high:
        raise Refusal(f"the range {quote(value)} ends before it begins.", f"write '{protocol}/{high}-{low}'")
    return Port(protocol, low, high)
