# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers and times of a record: plain digits within what the kernel writes, and no time that is still to come."""

from __future__ import annotations

import re
import time

from . import files

PORT = 65535
ID = 2**32 - 1  # of a process or an account
SERIAL = 2**32 - 1  # kernel/audit.c, audit_serial: an unsigned int
SECONDS = 10**11 - 1
MICROS = 10**17 - 1
# A clock that is set anew moves by less; what is further ahead is no time at which anything was recorded.
AHEAD = 3600.0
_DIGITS = re.compile(r"[0-9]{1,20}")  # int() takes thousands of digits badly, and digits of every script


class Unreadable(Exception):
    """A record of a kind that is read here, with a number that the kernel does not write."""


def number(text, most):
    """The number behind plain digits; None where it is another text, or more than ``most``."""
    if not isinstance(text, str) or not _DIGITS.fullmatch(text) or int(text) > most:
        return None
    return int(text)


def needed(text, most):
    """The same, and Unreadable where there is no such number."""
    found = number(text, most)
    if found is None:
        raise Unreadable
    return found


def booted():
    """When this boot began, in seconds since the epoch by the clock as it stands now; 0 where nobody knows."""
    try:
        return now() - float(files.read_text("/proc/uptime").split()[0])
    except (IndexError, ValueError):
        return 0.0


def now():
    """Seconds since the epoch."""
    return time.time()
