# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the Windows service backend: what it carries, and Windows' words for the policy's."""

from __future__ import annotations

from ..policy.model import (
    BusClosure,
    BusName,
    Clause,
    Component,
    CoreDumps,
    Deny,
    Device,
    DeviceClosure,
    EnvironmentClosure,
    EnvironmentSet,
    Execute,
    Privilege,
    PrivilegeClosure,
    Read,
    ReadClosure,
    Restart,
    RestartLimit,
    Secret,
    SharedMemory,
    Spawn,
    SpawnClosure,
    StartTimeout,
    StopTimeout,
    Syscalls,
    UnixSocket,
    UnixSocketClosure,
    User,
    Watchdog,
    WritableAndExecutable,
    Write,
    WriteClosure,
)
from .base import Grade, Support

_NTFS = "NTFS access list of the service SID"
_SCM = "service control manager"
_EXPLOIT = "Exploit Protection"
_SID = "SID type, privileges and access lists take effect at the next start of the service or of the system"
_INHERITANCE = "folders below whose inheritance is switched off do not take the entry over"

# Details of a grant inside of a wider one.
NARROWED = (
    f"the rights of the grant around it are denied here; {_INHERITANCE}; a folder above it that the service may "
    "write can be renamed, and another put in its place"
)
NARROWED_IN_AUDIT = "audit mode leaves it out that this grant takes rights of the grant around it back"


def _never(missing: str) -> Support:
    return Support(Grade.NEVER, "", missing=missing)


SUPPORT: dict[type[Clause], Support] = {
    User: Support(Grade.COARSER, _SCM, "6.1", "the account of Windows is named by workload.windows.user"),
    PrivilegeClosure: Support(
        Grade.COARSER, _SCM, "6.0", f"privileges not listed are taken away, group memberships are not; {_SID}"
    ),
    Privilege: Support(
        Grade.COARSER, _SCM, "6.0", "some privileges have no Windows name, or the account must hold them"
    ),
    ReadClosure: _never(
        "reading cannot be denied by default: an AppContainer would do it, and the service control manager "
        "cannot start one; deny single paths (filesystem.deny), or waive the clause"
    ),
    Read: Support(Grade.EXACT, _NTFS),
    WriteClosure: Support(
        Grade.COARSER,
        "restricted service SID",
        "6.0",
        f"objects that Everyone or WRITE RESTRICTED may write stay writable; {_SID}",
    ),
    Write: Support(Grade.EXACT, _NTFS),
    Execute: Support(
        Grade.COARSER, _NTFS, missing="the entry allows execution; that nothing else runs is AppLocker's"
    ),
    Spawn: Support(
        Grade.COARSER, _NTFS, missing="the entry allows execution; that nothing else runs is AppLocker's"
    ),
    Deny: Support(Grade.COARSER, _NTFS, missing=_INHERITANCE),
    SpawnClosure: Support(
        Grade.COARSER,
        _EXPLOIT,
        "10.0.16299",
        "only where the policy lets it run no program; keyed by file name",
    ),
    WritableAndExecutable: Support(Grade.COARSER, _EXPLOIT, "10.0.16299", "keyed by file name"),
    CoreDumps: Support(
        Grade.COARSER,
        "Windows Error Reporting exclusion",
        "6.0",
        "keyed by file name; an administrator's debugger or LocalDumps key can still write a dump",
    ),
    EnvironmentClosure: _never(
        "a service inherits the machine's environment; the service control manager can add and replace "
        "variables, it cannot drop them"
    ),
    EnvironmentSet: Support(Grade.EXACT, _SCM),
    Restart: Support(
        Grade.COARSER, _SCM, "6.0", "a service that stops by itself without an error is not started again"
    ),
    RestartLimit: Support(
        Grade.COARSER,
        _SCM,
        "6.0",
        "failures are counted until there is none for the whole time, not in a moving window",
    ),
    StartTimeout: _never("the time to start is one setting for all services (ServicesPipeTimeout)"),
    StopTimeout: _never(
        "the time to stop is one setting for all services (WaitToKillServiceTimeout), at shutdown only"
    ),
    Watchdog: _never("the service control manager has no watchdog"),
    Component: _never(
        "what a service starts runs with the service's own token, and so with all of its rights"
    ),
    Secret: _never("the service control manager hands no secrets to services"),
    Syscalls: _never("Windows has no filter of system calls for services"),
    SharedMemory: _never("named shared memory cannot be made private to one service without an AppContainer"),
    DeviceClosure: _never("access to devices is decided by each driver's access list"),
    Device: _never("access to devices is decided by each driver's access list"),
    UnixSocketClosure: _never(
        "named pipes and local sockets are guarded by their servers' access lists, not by ours"
    ),
    UnixSocket: _never(
        "named pipes and local sockets are guarded by their servers' access lists, not by ours"
    ),
    BusClosure: _never("Windows has no D-Bus; COM and RPC servers check their callers themselves"),
    BusName: _never("Windows has no D-Bus"),
}

# Rights by their names in System.Security.AccessControl.FileSystemRights.
ACCESS: dict[type[Clause], tuple[str, tuple[str, ...]]] = {
    Read: ("Allow", ("Read",)),
    Write: ("Allow", ("Modify",)),
    Execute: ("Allow", ("ReadAndExecute",)),
    Spawn: ("Allow", ("ReadAndExecute",)),
    Deny: ("Deny", ("FullControl",)),
}

# Every process needs it to walk through folders (SeChangeNotifyPrivilege, "bypass traverse checking").
ALWAYS = ("SeChangeNotifyPrivilege",)

# What LocalService, NetworkService and virtual accounts hold; for others the account must be given the right.
HELD = frozenset(
    {
        "SeAssignPrimaryTokenPrivilege",
        "SeAuditPrivilege",
        "SeChangeNotifyPrivilege",
        "SeCreateGlobalPrivilege",
        "SeImpersonatePrivilege",
        "SeIncreaseQuotaPrivilege",
    }
)

# Neutral privilege: (Windows' names, what is wrong with them). No names and a reason: refused.
PRIVILEGES: dict[str, tuple[tuple[str, ...], str]] = {
    "bind_low_port": ((), ""),
    "switch_user": (("SeAssignPrimaryTokenPrivilege", "SeImpersonatePrivilege"), ""),
    "change_owner": (("SeTakeOwnershipPrivilege",), "ownership can be taken, not given away"),
    "override_permissions": (("SeBackupPrivilege", "SeRestorePrivilege"), ""),
    "read_any_file": (("SeBackupPrivilege",), ""),
    "act_as_owner": ((), "Windows has no privilege to change modes and times of others' files alone"),
    "signal_any_process": ((), "SeDebugPrivilege would allow far more than ending processes"),
    "raw_network": ((), "raw sockets need membership of the administrators, which no privilege replaces"),
    "configure_network": ((), "network configuration needs a group membership, which no privilege replaces"),
    "lock_memory": (("SeLockMemoryPrivilege",), ""),
    "raise_priority": (("SeIncreaseBasePriorityPrivilege",), ""),
    "raise_limits": (("SeIncreaseQuotaPrivilege",), ""),
    "set_clock": (("SeSystemtimePrivilege",), ""),
    "trace_processes": (("SeDebugPrivilege",), ""),
    "change_root": ((), "Windows has no root directory to change"),
    "make_device": ((), "devices are made by drivers (SeLoadDriverPrivilege would allow far more)"),
    "write_audit": (("SeAuditPrivilege",), ""),
    "administer_system": ((), "administration is a group membership, which no privilege replaces"),
}

# The build that first has a mitigation: Windows 10 1709, where Exploit Protection came in.
BUILDS = {"dynamic_code": 16299, "child_process": 16299}
