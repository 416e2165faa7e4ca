# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A component's policy beside its service's: what it asks for in vain, and what of it is narrower in vain."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields

from ..policy import model as m
from ..policy.evaluate import Outcome, path_act
from ..policy.extends import narrower, ordered
from ..policy.model import OS

Clauses = Iterable[m.Clause]

_ACTS: dict[type[m.Clause], str] = {
    m.Read: "read",
    m.Write: "write",
    m.Execute: "execute",
    m.Spawn: "execute",
}
# What only opens: a component without it has less.
_GRANTS = (
    *(m.Privilege, m.Device, m.Listen, m.Connect, m.UnixSocket, m.BusName),
    *(m.EnvironmentSet, m.Secret),
)
# Of the service manager's care for a unit, which a program inside of it has no share in.
_OF_UNITS = (m.StartTimeout, m.StopTimeout, m.Restart, m.RestartLimit, m.Watchdog)
_NAMES = ("id", "origin", "why")


def not_given(service: Clauses, component: Clauses) -> list[str]:
    """Ids of the component's grants that its service does not have."""
    service = list(service)
    return sorted(clause.id for clause in component if _in_vain(service, clause))


def _in_vain(service: list[m.Clause], clause: m.Clause) -> bool:
    action = _ACTS.get(type(clause))
    if action and isinstance(clause, m.PathClause):
        path = clause.path.on(OS.LINUX)
        if path is None:
            return not clause.path.known_on(OS.LINUX)
        if clause.path.glob:
            return not _has(service, clause)
        return path_act(service, action, path, OS.LINUX).outcome is not Outcome.ALLOW
    if isinstance(clause, m.Families):
        held = {name for one in service if isinstance(one, m.Families) for name in one.names}
        return not set(clause.names) <= held
    return isinstance(clause, _GRANTS) and not _has(service, clause)


def not_carried(service: Clauses, component: Clauses, carried: Collection[type[m.Clause]]) -> list[str]:
    """Sections in which the component's policy is narrower than its service's, and the profile cannot be."""
    service, component = list(service), list(component)
    found = set()
    for clause in component:
        if type(clause) in carried or isinstance(clause, (*_GRANTS, *_OF_UNITS)):
            continue
        held = next((one for one in service if type(one) is type(clause)), None)
        if ordered(clause):
            if held is None or not narrower(held, clause):
                found.add(clause.section)
        elif not _closes(clause) and not _has(service, clause):
            found.add(clause.section)
    found |= {
        clause.section
        for clause in service
        if isinstance(clause, _GRANTS) and type(clause) not in carried and not _has(component, clause)
    }
    return sorted(found)


def _closes(clause: m.Clause) -> bool:
    """Whether it is a closure without a content of its own, which every policy has."""
    return all(item.name in _NAMES for item in fields(clause))


def _has(clauses: list[m.Clause], wanted: m.Clause) -> bool:
    return any(type(one) is type(wanted) and _content(one) == _content(wanted) for one in clauses)


def _content(clause: m.Clause) -> tuple[object, ...]:
    values = [getattr(clause, item.name) for item in fields(clause) if item.name not in _NAMES]
    return tuple((value.by_os, value.glob) if isinstance(value, m.PathRef) else value for value in values)
