# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which mounts make a set of grants and hidden trees true: pure path arithmetic, no systemd words but the keys.

The most specific path decides alone, grants of one path add up and deny wins a tie. ``InaccessiblePaths`` on a
parent beats every grant below it, so a hidden tree with grants below becomes an empty read-only file system with
the granted children bound into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .linux_names import below, within

READ, WRITE, EXECUTE = "read", "write", "execute"
SOCKET = "socket"  # shown where its folder is hidden; no file to be read or written, so it narrows nothing
GIVES = {
    READ: frozenset({READ}),
    WRITE: frozenset({READ, WRITE}),
    EXECUTE: frozenset({READ, EXECUTE}),
    SOCKET: frozenset[str](),
}


@dataclass(frozen=True, order=True)
class Grant:
    """One path that is open. ``reveals``: False where only its being writable counts, so hidden trees
    below stay hidden."""

    path: str
    kind: str
    clause: str
    reveals: bool = True


@dataclass(frozen=True, order=True)
class Hidden:
    """A tree to hide. ``weak``: hidden only because nothing grants it; a grant of it, or above it, opens it."""

    path: str
    clause: str
    weak: bool = True
    socket: bool = False  # a way to act as root: reading the folder around it does not open it


@dataclass
class Layout:
    """(path, clause) pairs by the directive that carries them."""

    inaccessible: list[tuple[str, str]] = field(default_factory=list)
    temporary: list[tuple[str, str]] = field(default_factory=list)
    bound: list[tuple[str, str]] = field(default_factory=list)
    bound_read_only: list[tuple[str, str]] = field(default_factory=list)
    writable: list[tuple[str, str]] = field(default_factory=list)
    read_only: list[tuple[str, str]] = field(default_factory=list)


def lay_out(grants: Iterable[Grant], hidden: Iterable[Hidden]) -> Layout:
    """The mounts for these grants and hidden trees; the same for any order of either."""
    grants = list(grants)
    programs = {grant.path for grant in grants if grant.kind == EXECUTE}
    layout = Layout()
    denied = {tree.path for tree in hidden if not tree.weak}
    by_path: dict[str, Grant] = {}
    for grant in sorted(grants):
        # Of several grants of one path the widest counts; deny wins a tie.
        have = by_path.get(grant.path)
        if grant.path not in denied and (have is None or grant.kind == WRITE):
            by_path[grant.path] = grant
    trees = _hidden_trees(by_path, sorted(hidden))
    for tree in trees.values():
        has_grants = any(below(path, tree.path) for path in by_path)
        (layout.temporary if has_grants else layout.inaccessible).append((tree.path, tree.clause))
    for grant in by_path.values():
        _place(grant, by_path, trees, programs, layout)
    return layout


def narrowed(grants: Iterable[Grant], hidden: Iterable[Hidden]) -> list[Grant]:
    """Grants that give less than the one around them. Only a mount of their own takes the difference back."""
    by_path: dict[str, set[str]] = {}
    grants = sorted(grant for grant in grants if grant.kind != SOCKET)
    for grant in grants:
        by_path.setdefault(grant.path, set()).update(GIVES[grant.kind])
    denied = [tree.path for tree in hidden if not tree.weak]
    found = []
    for grant in grants:
        around = max((path for path in by_path if below(grant.path, path)), key=len, default="")
        between = any(within(grant.path, tree) and within(tree, around) for tree in denied)
        if around and not between and by_path[around] - by_path[grant.path]:
            found.append(grant)
    return found


def _hidden_trees(grants: dict[str, Grant], hidden: list[Hidden]) -> dict[str, Hidden]:
    """Trees that stay hidden: weak ones only where no grant opens them and no hidden tree above covers them."""
    trees: dict[str, Hidden] = {}
    for tree in sorted(hidden, key=lambda item: (item.path, item.weak, item.clause)):
        around = [grants[path] for path in (tree.path, *_above(tree.path)) if path in grants]
        opened = tree.weak and any(
            grant.reveals and not (tree.socket and grant.kind in (READ, EXECUTE)) for grant in around
        )
        if not opened and tree.path not in trees:
            trees[tree.path] = tree
    leading = {folder for path in grants for folder in _above(path)}
    covered = {
        path
        for path in trees
        if path not in leading
        and any(other in trees and not _grant_between(path, other, grants) for other in _above(path))
    }
    return {path: tree for path, tree in trees.items() if path not in covered}


def _above(path: str) -> Iterator[str]:
    """Every folder around the path, the nearest first."""
    while path != "/":
        path = path[: path.rindex("/")] or "/"
        yield path


def _grant_between(path: str, tree: str, grants: dict[str, Grant]) -> bool:
    return any(within(path, grant) and below(grant, tree) for grant in grants)


def _innermost(path: str, trees: Iterable[str]) -> str:
    """The deepest hidden tree around ``path``, or an empty string."""
    return max((tree for tree in trees if within(path, tree)), key=len, default="")


def _place(
    grant: Grant, grants: dict[str, Grant], trees: dict[str, Hidden], programs: set[str], layout: Layout
) -> None:
    entry = (grant.path, grant.clause)
    tree = _innermost(grant.path, trees)
    parent = max((path for path in grants if below(grant.path, path)), key=len, default="")
    if tree and not (parent and within(parent, tree) and parent != tree):
        (layout.bound if grant.kind == WRITE else layout.bound_read_only).append(entry)
    elif grant.kind == WRITE:
        # What is writable already needs no mount, unless programs run there and must not here.
        if not (parent and grants[parent].kind == WRITE and parent not in programs):
            layout.writable.append(entry)
    elif grant.kind == READ and parent and grants[parent].kind in (WRITE, EXECUTE):
        layout.read_only.append(entry)
