# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a baseline does to a policy: it caps settings and privileges, denies paths and adds examples.

A baseline grants nothing. Where a policy goes beyond one, it must say so and why under ``widens``; a widening
that nothing needs is a fault as well, so that the list stays true.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from . import model as m
from .examples import Held
from .faults import FaultList, did_you_mean, quote
from .paths import parts
from .source import Node

# What is narrower, by kind of clause: a lower number, a smaller set, or the value named here.
_ORDER: dict[type[m.Clause], tuple[str, str]] = {
    m.MaxConnections: ("count", "number"),
    m.MaxProcesses: ("count", "number"),
    m.MemoryLimit: ("bytes", "number"),
    m.CpuLimit: ("percent", "number"),
    m.MaxOpenFiles: ("count", "number"),
    m.MaxFileSize: ("bytes", "number"),
    m.Families: ("names", "set"),
    m.Syscalls: ("groups", "set"),
    m.WritableAndExecutable: ("allow", "false"),
    m.CoreDumps: ("allow", "false"),
    m.SharedMemory: ("private", "true"),
}


def ordered(clause: m.Clause) -> bool:
    """Whether clauses of this kind have a narrower and a wider."""
    return type(clause) in _ORDER


def narrower(first: m.Clause, second: m.Clause) -> bool:
    """Whether ``first`` allows nothing that ``second`` does not. Both of one ordered kind."""
    name, order = _ORDER[type(first)]
    a, b = getattr(first, name), getattr(second, name)
    if order == "number":
        return bool(a <= b)
    if order == "set":
        return set(a) <= set(b)
    return bool(a == b or a is (order == "true"))


def narrowest(first: m.Clause, second: m.Clause) -> m.Clause:
    """What both allow, told as ``second`` where they differ in a set."""
    name, order = _ORDER[type(first)]
    if order == "set":
        both: dict[str, Any] = {name: tuple(sorted(set(getattr(first, name)) & set(getattr(second, name))))}
        return replace(second, **both)
    return first if narrower(first, second) else second


@dataclass
class Widenings:
    """The policy's ``widens`` list: which clauses may go beyond a baseline, and which were needed."""

    nodes: dict[str, Node] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    offered: set[str] = field(default_factory=set)

    @classmethod
    def read(cls, root: Node, places: Mapping[str, str]) -> Widenings:
        """``places`` translates a place of the document (``network.families``) to the clause's id."""
        names = ((str(node.value["clause"]), node) for node in root.each("widens"))
        return cls({places.get(name, name): node for name, node in names})

    def allow(self, clause: str) -> bool:
        """Whether the clause with exactly this id is listed; marks it as needed."""
        self.offered.add(clause)
        if clause in self.nodes:
            self.used.add(clause)
        return clause in self.nodes

    def report_unused(self, own: Iterable[str], faults: FaultList) -> None:
        """An entry that nothing needs is a fault; ``own``: ids of the policy's clauses."""
        names = {*own, *self.offered}
        for name, node in self.nodes.items():
            if name in self.used:
                continue
            if name in names:
                faults.add(node, f"{quote(name)} does not go beyond any baseline.", "remove this entry")
            else:
                faults.add(node, f"there is no clause {quote(name)}.", did_you_mean(name, names, "clauses"))


@dataclass(frozen=True)
class Baseline:
    """A baseline's clauses as limits, and its examples."""

    name: str
    clauses: tuple[m.Clause, ...]
    examples: tuple[Held, ...] = ()


class Capping:
    """A policy's own clauses under its baselines. Wider ones are faults unless ``widens`` lists them."""

    def __init__(
        self, own: list[m.Clause], nodes: dict[str, Node], root: Node, widenings: Widenings, faults: FaultList
    ) -> None:
        self.own, self.nodes, self.root = own, nodes, root
        self.widenings, self.faults = widenings, faults
        self.inherited: dict[type[m.Clause], m.Clause] = {}
        self.denies: dict[tuple[Any, ...], m.Clause] = {}

    def run(self, baselines: Iterable[Baseline], defaults: Iterable[m.Clause]) -> list[m.Clause]:
        """The policy's own clauses, what it inherits, and for the rest the narrower of default and cap."""
        written = {type(clause): clause for clause in self.own if clause.id == clause.section}
        for one in baselines:
            self._privileges(one)
            for limit in one.clauses:
                if isinstance(limit, m.Deny):
                    self._deny(limit, one.name)
                elif not isinstance(limit, m.Privilege):
                    self._setting(limit, written.get(type(limit)), one.name)
        for default in defaults:
            if type(default) not in written:
                held = self.inherited.get(type(default))
                self.inherited[type(default)] = narrowest(default, held) if held else default
        return [*self.own, *self.inherited.values(), *self.denies.values()]

    def _privileges(self, caps: Baseline) -> None:
        ceiling = {clause.name for clause in caps.clauses if isinstance(clause, m.Privilege)}
        for clause in self.own if ceiling else ():
            if isinstance(clause, m.Privilege) and clause.name not in ceiling:
                self._wider(clause.id, f"the privilege {quote(clause.name)} is more than", caps.name)

    def _setting(self, limit: m.Clause, mine: m.Clause | None, baseline: str) -> None:
        held = self.inherited.get(type(limit))
        if mine is not None:
            if ordered(limit) and not narrower(mine, limit):
                self._wider(mine.id, f"{mine.id} is wider than", baseline)
        elif held is None:
            self.inherited[type(limit)] = limit
        elif ordered(limit):
            self.inherited[type(limit)] = narrowest(held, limit)

    def _deny(self, limit: m.Deny, baseline: str) -> None:
        """Inherit a deny, unless it is widened away. Grants below it would open what it closes."""
        if self.widenings.allow(limit.id):
            return
        for clause in self.own:
            if isinstance(clause, (m.Read, m.Write, m.Execute, m.Spawn)) and _below(clause.path, limit.path):
                what = f"{quote(clause.path.text)} lies below {quote(limit.path.text)}, which is more than"
                self._wider(clause.id, what, baseline)
        content = (limit.path.by_os, limit.path.glob)
        if not any(isinstance(c, m.Deny) and (c.path.by_os, c.path.glob) == content for c in self.own):
            self.denies.setdefault(content, limit)

    def _wider(self, clause: str, what: str, baseline: str) -> None:
        if not self.widenings.allow(clause):
            fix = f"narrow it, or add {{clause: '{clause}', reason: ...}} under 'widens'"
            self.faults.add(
                self.nodes.get(clause, self.root), f"{what} the baseline {quote(baseline)} allows.", fix
            )


def _below(path: m.PathRef, tree: m.PathRef) -> bool:
    for os, own in path.by_os:
        upper = tree.on(os)
        if own is None or upper is None:
            continue
        mine, top = parts(own, os), parts(upper, os)
        if len(mine) > len(top) and mine[: len(top)] == top:
            return True
    return False
