# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""System calls by number, and which word of the policy opens a call (systemd.exec(5), systemd-analyze(1))."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..backends.linux_tables import SYSCALLS_ADDED, SYSCALLS_OF_PRIVILEGE
from ..policy import model as m

# audit's name of an architecture (uapi/linux/audit.h, AUDIT_ARCH_*) -> uname's
ARCHITECTURES = {"c000003e": "x86_64", "c00000b7": "aarch64"}
# Calls by number, from the kernel's asm/unistd.h; "-" where there is none.
_NAMES = Path(__file__).with_name("call_names.json")

# systemd 252 and 257, those sets that linux_tables adds
_SETS: dict[str, str] = {
    "@setuid": "setgid setgroups setregid setresgid setresuid setreuid setuid",
    "@chown": "chown fchown fchownat lchown",
    "@resources": "ioprio_set mbind migrate_pages move_pages nice sched_setaffinity sched_setattr sched_setparam"
    " sched_setscheduler set_mempolicy set_mempolicy_home_node setpriority setrlimit",
    "@memlock": "mlock mlock2 mlockall munlock munlockall",
    "@keyring": "add_key keyctl request_key",
    "@mount": "chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree pivot_root umount"
    " umount2",
    "@debug": "lookup_dcookie perf_event_open pidfd_getfd ptrace",
    "@raw-io": "ioperm iopl",
    "@clock": "adjtimex clock_adjtime clock_settime settimeofday",
    "@module": "delete_module finit_module init_module",
    "@reboot": "kexec_file_load kexec_load reboot",
}
GROUPS: dict[str, frozenset[str]] = {
    group: frozenset(call for word in words for call in _SETS.get(word, word).split())
    for group, words in SYSCALLS_ADDED.items()
} | {"network_server": frozenset(("listen", "accept", "accept4"))}

# Calls that do nothing without a capability, and the privilege that holds it (capabilities(7)).
PRIVILEGED: dict[str, str] = {
    "setgroups": "switch_user",
    "chroot": "change_root",
    **dict.fromkeys(("mount", "umount2", "pivot_root", "move_mount"), "administer_system"),
    **dict.fromkeys(("fsopen", "fspick", "fsmount", "mount_setattr"), "administer_system"),
}
# Groups whose calls need a capability that no privilege of the language holds: the group alone changes nothing.
UNREACHABLE: dict[str, str] = {
    "modules": "CAP_SYS_MODULE",
    "reboot": "CAP_SYS_BOOT",
    "raw_io": "CAP_SYS_RAWIO",
}


@dataclass(frozen=True)
class Filter:
    """A filter of the unit beside SystemCallFilter=. ``group`` and ``privilege``: the words that open it, where any do.

    ``harmless``: programs take another call when this one is refused, so nothing is lost.
    """

    directive: str
    section: str
    group: str = ""
    privilege: str = ""
    allow: str = ""  # a setting that opens it
    harmless: str = ""


_PRIVILEGES = m.PrivilegeClosure.section
_SUID = Filter("RestrictSUIDSGID", _PRIVILEGES, privilege="act_as_owner")
_NAMESPACES = Filter("RestrictNamespaces", _PRIVILEGES, group="namespaces")
_WX = Filter("MemoryDenyWriteExecute", m.WritableAndExecutable.section, allow="writable_and_executable")
_HOSTNAME = Filter("ProtectHostname", _PRIVILEGES, privilege="administer_system")
_CLOCK = Filter("ProtectClock", _PRIVILEGES, privilege="set_clock")
_MODULES = Filter("ProtectKernelModules", _PRIVILEGES, privilege="administer_system")
FILTERS: dict[str, Filter] = {
    "socket": Filter("RestrictAddressFamilies", m.Families.section),
    "personality": Filter("LockPersonality", _PRIVILEGES),
    "syslog": Filter("ProtectKernelLogs", _PRIVILEGES, privilege="administer_system"),
    "sched_setscheduler": Filter("RestrictRealtime", _PRIVILEGES, privilege="raise_priority"),
    **dict.fromkeys(("clone", "unshare", "setns"), _NAMESPACES),
    "clone3": Filter("RestrictNamespaces", _PRIVILEGES, group="namespaces", harmless="clone()"),
    **dict.fromkeys(("mmap", "mprotect", "pkey_mprotect", "shmat"), _WX),
    **dict.fromkeys(("chmod", "fchmod", "fchmodat", "creat", "open", "openat"), _SUID),
    **dict.fromkeys(("mkdir", "mkdirat", "mknod", "mknodat"), _SUID),
    "openat2": Filter("RestrictSUIDSGID", _PRIVILEGES, privilege="act_as_owner", harmless="openat()"),
    "fchmodat2": Filter("RestrictSUIDSGID", _PRIVILEGES, privilege="act_as_owner", harmless="fchmodat()"),
    **dict.fromkeys(("sethostname", "setdomainname"), _HOSTNAME),
    **dict.fromkeys(_SETS["@clock"].split(), _CLOCK),
    **dict.fromkeys(_SETS["@module"].split(), _MODULES),
}


@cache
def _names() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads(_NAMES.read_text(encoding="utf-8"))
    return found


def name(arch: str, number: int) -> str:
    """The call's name; "" for a foreign architecture and for a number that this table does not have."""
    known = _names().get(ARCHITECTURES.get(arch, ""), [])
    return known[number] if 0 <= number < len(known) and known[number] != "-" else ""


def group_of(call: str) -> str:
    """The group of ``words.SYSCALL_GROUPS`` that opens the call, the smallest where several do."""
    holding = [group for group, held in GROUPS.items() if call in held]
    return min(holding, key=lambda group: (len(GROUPS[group]), group), default="")


def granted_groups(clauses: Iterable[m.Clause]) -> set[str]:
    """The groups that a policy's clauses open, those of its privileges included, as the compiler takes them."""
    groups: set[str] = set()
    for clause in clauses:
        if isinstance(clause, m.Syscalls):
            groups.update(clause.groups)
        elif isinstance(clause, m.Privilege) and clause.name in SYSCALLS_OF_PRIVILEGE:
            groups.add(SYSCALLS_OF_PRIVILEGE[clause.name])
    return groups


def open_by_filter(clauses: Iterable[m.Clause], call: str) -> bool:
    """Whether the unit's call list, as the clauses make it, holds a call of one of ``GROUPS``."""
    granted = granted_groups(clauses)
    return any(call in held for group, held in GROUPS.items() if group in granted)
