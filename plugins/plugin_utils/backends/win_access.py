# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a path's access list has to take back, so that the most specific path of a policy decides alone.

NTFS reads a list's own entries before inherited ones, and those of a nearer folder before those of a farther one.
So a grant inside of a wider one needs one more entry: a denial of the rights that it would inherit and does not give.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..policy.model import OS, Deny, Execute, Manifest, PathClause, Read, Spawn, Write
from .base import BackendError
from .win_names import windows_path, within

# FileSystemRights.Modify holds ReadAndExecute, so what is writable inherits execution as well.
_GIVES: dict[type[PathClause], frozenset[str]] = {
    Read: frozenset({"read"}),
    Write: frozenset({"read", "write", "execute"}),
    Execute: frozenset({"read", "execute"}),
    Spawn: frozenset({"read", "execute"}),
    Deny: frozenset(),
}
# Names of System.Security.AccessControl.FileSystemRights.
_RIGHTS = {"write": ("Write", "Delete", "DeleteSubdirectoriesAndFiles"), "execute": ("ExecuteFile",)}


class Trees:
    """All paths of a policy on Windows, with what each gives and the clauses that say so."""

    def __init__(self, manifest: Manifest) -> None:
        self._clauses: dict[str, list[PathClause]] = {}
        for clause in manifest.clauses:
            if isinstance(clause, (Read, Write, Execute, Spawn, Deny)) and not clause.path.glob:
                text = clause.path.on(OS.WINDOWS)
                try:
                    path = windows_path(text, clause.id) if text else ""
                except BackendError:
                    continue  # refused where the clause itself is compiled
                if path:
                    self._clauses.setdefault(path.casefold(), []).append(clause)

    def taken(self, path: str) -> tuple[str, ...]:
        """The rights that a granted path would inherit and that none of its own clauses gives."""
        own = self._gives(path.casefold())
        above = max(
            (other for other in self._clauses if other != path.casefold() and within(path, other)),
            key=len,
            default=None,
        )
        surplus = self._gives(above) - own if above is not None and own else frozenset()
        return tuple(right for name, rights in _RIGHTS.items() if name in surplus for right in rights)

    def narrowed(self) -> Iterator[tuple[str, tuple[str, ...], str]]:
        """(path, rights to deny, clause) for each path that inherits too much. The same for any order of clauses."""
        for _unused, clauses in sorted(self._clauses.items()):
            clause = min(clauses, key=lambda one: one.id)
            path = windows_path(clause.path.on(OS.WINDOWS) or "", clause.id)
            taken = self.taken(path)
            if taken:
                yield path, taken, clause.id

    def _gives(self, key: str) -> frozenset[str]:
        clauses = self._clauses.get(key, [])
        if any(isinstance(clause, Deny) for clause in clauses):
            return frozenset()
        return frozenset(right for clause in clauses for right in _GIVES[type(clause)])
