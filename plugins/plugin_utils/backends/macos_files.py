# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""File rules of a sandbox profile: the most specific path decides alone, deny wins a tie.

In a profile the last matching rule wins, so rules are written from shallow to deep. At each depth come first the
rights that its grants do not give and a grant above does, then the grants, which add up, then the denials.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from ..policy.model import OS, PathRef
from ..policy.paths import meet
from .macos_sbpl import Profile, literal, pattern, subpath

READ, WRITE, EXECUTE, DEVICE, DENY = "read", "write", "execute", "device", "deny"

# Writing and executing include reading.
OPERATIONS = {
    READ: "file-read*",
    WRITE: "file-read* file-write*",
    EXECUTE: "file-read* file-map-executable process-exec*",
    DEVICE: "file-read* file-write* file-ioctl",
}
EVERYTHING = "file-read* file-write* file-ioctl file-map-executable process-exec*"
# What a wider grant may give and a grant of this kind takes back inside of it. Devices are no part of the trees.
_TAKEN = {
    READ: {WRITE: "file-write*", EXECUTE: "file-map-executable process-exec*"},
    WRITE: {EXECUTE: "file-map-executable process-exec*"},
    EXECUTE: {WRITE: "file-write*"},
}


@dataclass(frozen=True, order=True)
class Entry:
    """One path of the policy, resolved, and what its clause says about it."""

    path: str
    kind: str
    clause: str
    glob: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for part in self.path.split("/") if part)

    @property
    def ref(self) -> PathRef:
        return PathRef(self.path, ((OS.MACOS, self.path),), self.glob)

    @property
    def filter(self) -> str:
        return pattern(self.path) if self.glob else subpath(self.path)

    def ancestors(self) -> list[str]:
        """Filters for the folders above, without the root: renaming one would carry the tree away."""
        above = ["/" + "/".join(self.parts[:end]) for end in range(1, len(self.parts))]
        return [pattern(path, tree=False) if self.glob else literal(path) for path in above]


def write(profile: Profile, entries: Iterable[Entry]) -> None:
    """Write all file rules. The same for any order of the entries."""
    ordered = sorted(set(entries), key=lambda entry: (len(entry.parts), entry.kind == DENY, entry))
    _metadata(profile, ordered)
    for _unused, level in groupby(ordered, key=lambda entry: len(entry.parts)):
        alike = list(level)
        for entry in alike:
            taken = _taken(entry, ordered)
            if taken:
                profile.deny(taken, [entry.filter], entry.clause)
        for entry in alike:
            if entry.kind == DENY:
                profile.deny(EVERYTHING, [entry.filter], entry.clause)
            else:
                profile.allow(OPERATIONS[entry.kind], [entry.filter], entry.clause)
    _moves(profile, ordered)


def _taken(entry: Entry, entries: Iterable[Entry]) -> str:
    """The operations that grants above this one give and it does not. Rights given at its own depth add up."""
    kinds = {
        other.kind
        for other in entries
        if len(other.parts) < len(entry.parts) and meet(other.ref, entry.ref, OS.MACOS)
    }
    return " ".join(text for kind, text in _TAKEN.get(entry.kind, {}).items() if kind in kinds)


def _metadata(profile: Profile, entries: list[Entry]) -> None:
    """Folders above a grant may be looked up (stat), not listed: realpath() needs them."""
    above = {path for entry in entries if entry.kind != DENY for path in entry.ancestors()}
    if above:
        profile.allow("file-read-metadata", sorted(above))


def _moves(profile: Profile, entries: list[Entry]) -> None:
    """Nothing above a denied or narrowed tree may be renamed or removed: it would get another path, and other rules."""
    for entry in entries:
        if entry.kind == DENY or "file-write*" in _taken(entry, entries):
            root = pattern(entry.path, tree=False) if entry.glob else literal(entry.path)
            profile.deny("file-write-unlink", [*entry.ancestors(), root], entry.clause)
