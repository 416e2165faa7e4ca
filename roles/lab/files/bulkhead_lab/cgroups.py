# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of nspawn hosts, found and ended by their cgroup."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from bulkhead_lab.host import Host
from bulkhead_lab.settings import Lab

# capabilities(7): never on a host that shares this machine's kernel
FORBIDDEN = {16: "CAP_SYS_MODULE", 17: "CAP_SYS_RAWIO", 25: "CAP_SYS_TIME"}


def mount() -> Path:
    """Where cgroup2 is: below "unified" where the machine still has cgroup1 beside it."""
    hybrid = Path("/sys/fs/cgroup/unified")
    return hybrid if hybrid.is_dir() else Path("/sys/fs/cgroup")


def top(lab: Lab) -> Path:
    return mount() / lab.tag


def folder(lab: Lab, host: Host) -> Path:
    return top(lab) / host.name


def pids(path: Path) -> list[int]:
    """Every process in a cgroup and those below it."""
    found = []
    for directory, _folders, _files in os.walk(path):
        with contextlib.suppress(OSError):
            found += [int(word) for word in (Path(directory) / "cgroup.procs").read_text().split()]
    return found


def remove(path: Path) -> None:
    """End all processes of a cgroup and remove it, leaves first."""
    for number, patience in ((signal.SIGTERM, 0.3), (signal.SIGKILL, 10.0)):
        for pid in pids(path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        end = time.monotonic() + patience
        while pids(path) and time.monotonic() < end:
            time.sleep(0.03)
    for directory, _folders, _files in os.walk(path, topdown=False):
        for _attempt in range(100):
            try:
                Path(directory).rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.02)  # the kernel lets go of a cgroup a moment after its last process


def field(status: str, name: str) -> list[str]:
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1:]
    return []


def init(lab: Lab, host: Host) -> tuple[int, str]:
    """Pid on this machine of the host's PID 1, and its /proc status; (0, "") while there is none."""
    for pid in pids(folder(lab, host)):
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            numbers = field(status, "NSpid")
            if len(numbers) > 1 and numbers[-1] == "1":
                return pid, status
    return 0, ""


def forbidden(status: str) -> list[str]:
    """Names of capabilities that this process could get and must not."""
    bounding = int((field(status, "CapBnd") or ["0"])[0], 16)
    return [name for bit, name in FORBIDDEN.items() if bounding >> bit & 1]
