# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the macOS sandbox backend: which clauses a profile carries, and what it leaves open."""

from __future__ import annotations

from ..policy.model import (
    BusClosure,
    BusName,
    Clause,
    Component,
    Connect,
    ConnectClosure,
    Deny,
    Device,
    DeviceClosure,
    Execute,
    ExecuteClosure,
    Families,
    Listen,
    ListenClosure,
    MaxConnections,
    Read,
    ReadClosure,
    SharedMemory,
    Spawn,
    SpawnClosure,
    Syscalls,
    UnixSocket,
    UnixSocketClosure,
    WritableAndExecutable,
    Write,
    WriteClosure,
)
from .base import Grade, Support
from .collect import UNSEEN

OLDEST = 14  # the first version whose list of operations this profile's words were compared with
EXPANDED_PORTS = 64
FAMILIES = frozenset({"ipv4", "ipv6", "unix"})

_PROFILE = "sandbox profile"


def _exact() -> Support:
    return Support(Grade.EXACT, _PROFILE, "14")


def _coarser(missing: str) -> Support:
    return Support(Grade.COARSER, _PROFILE, "14", missing)


def _never(missing: str) -> Support:
    return Support(Grade.NEVER, "", missing=missing)


SUPPORT: dict[type[Clause], Support] = {
    ReadClosure: _exact(),
    Read: _exact(),
    WriteClosure: _exact(),
    Write: _exact(),
    ExecuteClosure: _coarser(
        "system libraries can be mapped; an interpreter that may run can run any readable script"
    ),
    Execute: _exact(),
    Deny: _exact(),
    SpawnClosure: _coarser("a child may be any program that the daemon may execute, its own included"),
    Spawn: _exact(),
    ListenClosure: _exact(),
    Listen: _exact(),
    ConnectClosure: _exact(),
    Connect: _coarser("single addresses but localhost, host names, rates and counts of connections"),
    Families: _coarser(
        "IPv4 and IPv6 are not told apart; a profile rules over addresses and paths, not families"
    ),
    MaxConnections: _never("neither the sandbox nor launchd counts connections"),
    UnixSocketClosure: _exact(),
    UnixSocket: _exact(),
    BusClosure: _coarser("macOS has no D-Bus; Mach services are denied but for five of the system's own"),
    BusName: _never("macOS has no D-Bus; Mach services have other names"),
    SharedMemory: _coarser(
        "named shared memory and semaphores are denied altogether, the daemon's own included"
    ),
    DeviceClosure: _exact(),
    Device: _exact(),
    WritableAndExecutable: _coarser(f"the effect of the operation dynamic-code-generation is {UNSEEN}"),
    Component: _never(
        "a process keeps the sandbox that it was started in, and cannot be put into a narrower one"
    ),
    Syscalls: _never("profiles filter operations, not groups of system calls"),
}
