# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a new version of a policy changes, and in which direction: the reviewer's view, clause by clause.

In doubt a change counts as widening: a review that is not needed costs less than one that was left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from . import model as m
from .evaluate import Outcome, path_act
from .extends import narrower, ordered
from .manifest import to_data
from .paths import meet

_GRANTS = (
    *(m.Privilege, m.Read, m.Write, m.Execute, m.Spawn, m.UnixSocket, m.Device),
    *(m.Listen, m.Connect, m.BusName, m.Secret),
)
_TREES = (m.Read, m.Write, m.Execute, m.Spawn)


class Direction(str, Enum):  # noqa: UP042
    WIDENS = "widens"
    NARROWS = "narrows"
    NEUTRAL = "neutral"


@dataclass(frozen=True)
class Change:
    """``what``: added, removed or changed. ``before`` and ``after`` are plain JSON data, or None."""

    clause: str
    what: str
    direction: Direction
    before: Any = None
    after: Any = None


def diff(old: m.Manifest, new: m.Manifest) -> tuple[Change, ...]:
    """All changes from ``old`` to ``new``, sorted by clause. Reasons and places in the file are no change."""
    changes: list[Change] = []
    before, after = ({c.id: c for c in one.clauses} for one in (old, new))
    shown = [{c["id"]: c for c in to_data(one)["clauses"]} for one in (old, new)]
    for name in before.keys() | after.keys():
        a, b = before.get(name), after.get(name)
        if shown[0].get(name) != shown[1].get(name):
            direction = _access(a, b, old, new) or _direction(a, b)
            changes.append(_change(name, direction, shown[0].get(name), shown[1].get(name)))
    changes += _rest(to_data(old), to_data(new))
    return tuple(sorted(changes, key=lambda change: change.clause))


def version_fault(old: m.Manifest, new: m.Manifest) -> str:
    """Why the new version number is too low for what changed, or nothing. Widening is at least a minor."""
    changes = diff(old, new)
    a, b = _numbers(old.version), _numbers(new.version)
    widening = [change.clause for change in changes if change.direction is Direction.WIDENS]
    if widening and b[:2] <= a[:2]:
        more = f" and {len(widening) - 1} more" if len(widening) > 1 else ""
        least = f"{a[0]}.{a[1] + 1}.0"
        return f"{new.policy} {new.version} widens {widening[0]}{more}: it needs at least version {least}."
    if changes and b <= a:
        least = f"{a[0]}.{a[1]}.{a[2] + 1}"
        return f"{new.policy} {new.version} changes {changes[0].clause}: it needs at least version {least}."
    return ""


def _numbers(version: str) -> tuple[int, int, int]:
    major, minor, patch = version.partition("+")[0].partition("-")[0].split(".")
    return int(major), int(minor), int(patch)


def _change(name: str, direction: Direction, before: Any, after: Any) -> Change:
    what = "added" if before is None else "removed" if after is None else "changed"
    return Change(name, what, direction, before, after)


def _access(a: m.Clause | None, b: m.Clause | None, old: m.Manifest, new: m.Manifest) -> Direction | None:
    """Which way access to a grant's own path goes, or None where it stays or a pattern leaves no path to ask for.

    A narrower grant hides a wider one around it: adding it takes access away, removing it gives it back.
    """
    grants = [clause for clause in (a, b) if isinstance(clause, _TREES)]
    lost = False
    for clause in grants:
        if clause.path.glob and a is not None and _hides(clause, new):
            return Direction.WIDENS
        for os, path in clause.path.by_os:
            if path is None or clause.path.glob:
                continue
            for action in ("read", "write", "execute"):
                before, after = (
                    path_act(one.clauses, action, path, os).outcome is Outcome.ALLOW for one in (old, new)
                )
                if after and not before:
                    return Direction.WIDENS
                lost = lost or (before and not after)
    return Direction.NARROWS if lost else None


def _hides(pattern: m.PathClause, manifest: m.Manifest) -> bool:
    """Whether a grant of another kind may lie around the paths of a pattern."""
    others = (clause for clause in manifest.clauses if isinstance(clause, _TREES))
    return any(
        type(other) is not type(pattern) and meet(other.path, pattern.path, os)
        for other in others
        for os in m.OS
    )


def _direction(old: m.Clause | None, new: m.Clause | None) -> Direction:
    present = new if new is not None else old
    if present is None:
        raise AssertionError("a change is of a clause that was there or is there")
    opens, closes = Direction.WIDENS, Direction.NARROWS
    if isinstance(present, (m.Deny, m.Component)) or ordered(present):
        opens, closes = closes, opens
    elif not isinstance(present, (*_GRANTS, m.EnvironmentClosure)):
        return Direction.NEUTRAL
    if old is None:
        return opens
    if new is None:
        return closes
    return Direction.NARROWS if _allows_less(new, old) else Direction.WIDENS


def _allows_less(new: m.Clause, old: m.Clause) -> bool:
    if type(new) is not type(old):
        return False
    if ordered(new):
        return narrower(new, old)
    if isinstance(new, m.EnvironmentClosure) and isinstance(old, m.EnvironmentClosure):
        return set(new.names) <= set(old.names)
    if isinstance(new, m.PathClause) and isinstance(old, m.PathClause):
        less, more = (old, new) if isinstance(new, m.Deny) else (new, old)
        return less.path.glob == more.path.glob and _places(less.path) <= _places(more.path)
    if isinstance(new, m.Connect) and isinstance(old, m.Connect):
        return (
            new.peer.kind is old.peer.kind
            and (new.peer.text == old.peer.text or new.peer.kind is m.PeerKind.ADDRESSES)
            and set(new.peer.addresses) <= set(old.peer.addresses)
            and (not old.ports or (bool(new.ports) and set(new.ports) <= set(old.ports)))
            and _at_most(new.rate, old.rate)
            and _at_most(new.max_open, old.max_open)
        )
    return False


def _places(path: m.PathRef) -> set[tuple[m.OS, str | None]]:
    return {(os, own) for os, own in path.by_os if own is not None}


def _at_most(new: float | None, old: float | None) -> bool:
    return old is None or (new is not None and new <= old)


def _rest(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Everything that is no clause. More waivers or overrides, or only auditing, weaken what is enforced."""
    changes: list[Change] = []
    for key in ("workloads", "mode", "examples", "health", "owner", "risk", "summary"):
        if old[key] != new[key]:
            direction = Direction.NEUTRAL
            if key == "mode":
                direction = Direction.WIDENS if new[key] == "audit" else Direction.NARROWS
            changes.append(_change(key, direction, old[key], new[key]))
    for key, names in (("waivers", ("clause", "on")), ("overrides", ("id",))):
        before, after = (
            {"/".join(str(item[n]) for n in names): item for item in one[key]} for one in (old, new)
        )
        for name in before.keys() | after.keys():
            a, b = before.get(name), after.get(name)
            if a != b:
                closes = key == "waivers" and b is None
                direction = Direction.NARROWS if closes else Direction.WIDENS
                changes.append(_change(f"{key}[{name}]" if key == "waivers" else name, direction, a, b))
    return changes
