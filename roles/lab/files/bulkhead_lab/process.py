# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding and ending processes of this machine by what they are, not by a number that was written down."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def processes(wanted: Callable[[list[bytes]], bool]) -> list[int]:
    """Pids of the processes whose command line is wanted; never this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if wanted(words) and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def alive(pid: int) -> bool:
    """False also for a process that has ended and was not yet collected."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def kill_all(pids: list[int], limit: float = 10.0) -> None:
    """Kill and wait until they are gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + limit
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.02)
