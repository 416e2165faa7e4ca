# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the launchd backend: keys of launchd.plist(5) that carry clauses, and what they leave open."""

from __future__ import annotations

from ..policy.model import (
    Clause,
    CoreDumps,
    CpuLimit,
    CpuWeight,
    EnvironmentClosure,
    EnvironmentSet,
    IoWeight,
    MaxFileSize,
    MaxOpenFiles,
    MaxProcesses,
    MemoryLimit,
    Privilege,
    PrivilegeClosure,
    Restart,
    RestartLimit,
    Secret,
    StartTimeout,
    StopTimeout,
    User,
    Watchdog,
)
from .base import Grade, Support

_PLIST = "launchd property list"


def _exact() -> Support:
    return Support(Grade.EXACT, _PLIST)


def _coarser(missing: str) -> Support:
    return Support(Grade.COARSER, _PLIST, missing=missing)


def _never(missing: str) -> Support:
    return Support(Grade.NEVER, "", missing=missing)


SUPPORT: dict[type[Clause], Support] = {
    User: _coarser("the account of macOS is named by workload.macos.user"),
    PrivilegeClosure: _coarser(
        "the account has none of root's privileges; what its groups may do is not taken away"
    ),
    Privilege: _coarser("macOS has no single privileges but for low ports, which need none"),
    MemoryLimit: _never(
        "ResidentSetSize limits address space, not memory in use, and programs do not start under it"
    ),
    CpuLimit: _never("launchd limits seconds of processor time in all, not the share of it"),
    CpuWeight: _coarser("a nice value, which weighs single processes and not the daemon as a whole"),
    IoWeight: _coarser("low or normal, nothing between"),
    MaxOpenFiles: _coarser(
        "counted for each process; launchd.plist(5): it sets kern.maxfiles for the system"
    ),
    MaxFileSize: _exact(),
    MaxProcesses: _coarser(
        "counted for the account, without threads; launchd.plist(5): it sets kern.maxproc for the system"
    ),
    CoreDumps: _exact(),
    EnvironmentClosure: _coarser("variables that may be inherited are dropped too: env -i keeps none"),
    EnvironmentSet: _exact(),
    Restart: _exact(),
    RestartLimit: _coarser("starts are spread over the time, and launchd never gives up"),
    StopTimeout: _exact(),
    StartTimeout: _never("launchd does not know when a daemon has started"),
    Watchdog: _never("launchd has no watchdog"),
    Secret: _never("launchd hands no secrets to daemons"),
}
