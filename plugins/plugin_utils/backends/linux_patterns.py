# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants by pattern: the mounts open the folder that a pattern lies in, and the profile allows in it what matches.

Mounts know no patterns. So a pattern is carried only where AppArmor decides at every open, and where opening its folder
changes nothing of what other clauses say; everywhere else it is refused with the reason.
"""

from __future__ import annotations

from ..policy import model as m
from ..policy.model import OS, Manifest
from .base import BackendError
from .linux_host import Host
from .linux_names import below, plain, within
from .linux_tables import BUS, DATA_TREES, HOME_TREES, PRIVILEGED_SOCKETS, SENSITIVE, SENSITIVE_OF_ROOT

_HIDDEN = (*DATA_TREES, *HOME_TREES, *SENSITIVE, *SENSITIVE_OF_ROOT)
# What the unit has of its own, and what is no place for files.
_OTHERS = ("/tmp", "/var/tmp", "/dev", "/proc", "/sys")
_PROGRAMS = (m.Execute, m.Spawn)
_SPEAKING = (m.Read, m.Write, m.Deny, *_PROGRAMS)


def fixed(path: str) -> str:
    """The folder of a pattern: all before the first component that has a wildcard."""
    marks = [at for at in (path.find(mark) for mark in "*?[") if at >= 0]
    return path[: min(marks, default=len(path))].rpartition("/")[0] or "/"


def opened_for(manifest: Manifest, host: Host, clause: m.PathClause) -> str:
    """The folder that the mounts have to open for this pattern, empty where they show it anyway.

    Raises BackendError where the pattern cannot be carried.
    """
    path = clause.path.on(OS.LINUX) or ""
    folder = fixed(path)
    named = f"('{path}', {clause.id})"
    if not isinstance(clause, (m.Read, m.Write)):
        raise BackendError(f"programs are shown by mounts, which take no patterns {named}: name them.")
    if not host.apparmor:
        raise BackendError(
            f"systemd's path lists take no patterns {named}, and AppArmor, which does, is not on this host: name the "
            "directory that holds the files."
        )
    if host.resolved(folder) != folder:
        raise BackendError(
            f"'{folder}' is '{host.resolved(folder)}' on this host, and patterns go by real names {named}: write that."
        )
    if isinstance(clause, m.Read) and _shown(manifest, folder):
        return ""
    wide = any(within(tree, folder) for tree in (*_HIDDEN, *PRIVILEGED_SOCKETS, BUS))
    if wide or any(within(folder, tree) for tree in _OTHERS):
        raise BackendError(
            f"the mounts that show this path take no patterns {named}, and '{folder}' is not to be opened as a whole: "
            "name the directory that holds the files."
        )
    other = next((one.id for one in manifest.clauses if _disturbs(host, folder, clause, one)), "")
    if other:
        raise BackendError(
            f"the mounts that show this path take no patterns {named}, and '{folder}' cannot be opened beside {other}: "
            "name the directory that holds the files."
        )
    return folder


def _shown(manifest: Manifest, folder: str) -> bool:
    """Whether mounts leave the folder as it is, or another grant opens it."""
    grants = [plain(ref) for kind in (m.Read, m.Write, m.Execute) for clause in manifest.of(kind)
              if not clause.path.glob and (ref := clause.path.on(OS.LINUX))]  # fmt: skip
    open_ = any(within(folder, grant) for grant in grants)
    return open_ or not any(within(folder, tree) or within(tree, folder) for tree in _HIDDEN)


def _disturbs(host: Host, folder: str, pattern: m.PathClause, other: m.Clause) -> bool:
    """Whether a mount of the pattern's whole folder would change what another clause says there."""
    if other is pattern or not isinstance(other, _SPEAKING) or not (path := other.path.on(OS.LINUX)):
        return False
    where = host.real(fixed(path) if other.path.glob else plain(path))
    if isinstance(other, _PROGRAMS):
        return within(where, folder) or within(folder, where)
    if isinstance(other, m.Deny):
        return where == folder and not other.path.glob
    # What is only to be read inside of what is written is mounted so, whatever the pattern says of it.
    return isinstance(other, m.Read) and isinstance(pattern, m.Write) and below(where, folder)
