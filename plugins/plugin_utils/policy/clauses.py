# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document's sections to clauses: one table for settings, one for lists of paths, one for lists of names.

The data fits the schema already; what is checked here is what a value means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from . import model as m
from . import units
from .faults import FaultList, Refusal, quote
from .paths import PathNames
from .peers import peer
from .source import Node, place_text

CLOSURES: tuple[type[m.Clause], ...] = (
    m.PrivilegeClosure, m.ReadClosure, m.WriteClosure, m.ExecuteClosure, m.ListenClosure, m.ConnectClosure,
    m.SpawnClosure, m.UnixSocketClosure, m.BusClosure, m.DeviceClosure, m.EnvironmentClosure,
)  # fmt: skip


def _same(value: Any) -> Any:
    return value


def _is(word: str) -> Callable[[Any], bool]:
    return lambda value: bool(value == word)


def _sorted_names(value: Any) -> tuple[str, ...]:
    return tuple(sorted({str(item) for item in value if isinstance(item, str)}))


# Clause type, its field, and what reads the value. The section is the place in the document.
SETTINGS: tuple[tuple[type[m.Clause], str, Callable[[Any], Any]], ...] = (
    (m.User, "name", _same),
    (m.Families, "names", _sorted_names),
    (m.MaxConnections, "count", int),
    (m.Syscalls, "groups", _sorted_names),
    (m.MaxProcesses, "count", int),
    (m.MemoryLimit, "bytes", units.size),
    (m.WritableAndExecutable, "allow", _is("allow")),
    (m.CoreDumps, "allow", _is("allow")),
    (m.CpuLimit, "percent", units.percent),
    (m.CpuWeight, "weight", int),
    (m.IoWeight, "weight", int),
    (m.MaxOpenFiles, "count", int),
    (m.MaxFileSize, "bytes", units.size),
    (m.SharedMemory, "private", _is("private")),
    (m.StartTimeout, "seconds", units.duration),
    (m.StopTimeout, "seconds", units.duration),
    (m.Restart, "when", _same),
    (m.Watchdog, "seconds", units.duration),
)
PATH_LISTS: tuple[type[m.PathClause], ...] = (
    m.Read,
    m.Write,
    m.Execute,
    m.Deny,
    m.Spawn,
    m.UnixSocket,
    m.Device,
)
NAME_LISTS: tuple[tuple[type[m.Clause], str], ...] = ((m.Privilege, "name"), (m.BusName, "name"))

_KINDS: tuple[type[m.Clause], ...] = (
    *CLOSURES,
    *(row[0] for row in SETTINGS),
    *PATH_LISTS,
    *(row[0] for row in NAME_LISTS),
    *(m.Listen, m.Connect, m.EnvironmentSet, m.Secret, m.Component, m.RestartLimit),
)
SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(kind.section for kind in _KINDS))


@dataclass(frozen=True)
class Entry:
    """A list item in either of its forms: ``text``, or ``{main: text, why:, id:}``.

    ``node`` is the whole item, ``spot`` the value that its form is about.
    """

    node: Node
    spot: Node
    main: str
    why: str
    own_id: str

    @classmethod
    def of(cls, node: Node, *keys: str) -> Entry:
        if not isinstance(node.value, dict):
            return cls(node, node, str(node.value), "", "")
        spot = next((found for key in keys if (found := node.get(key)) is not None), node)
        why, own_id = (str(node.value.get(key, "")) for key in ("why", "id"))
        return cls(node, spot, str(spot.value), why, own_id)

    @property
    def lacking(self) -> bool:
        """Whether the value that it is about was cut for a fault, which has been told then."""
        return isinstance(self.node.value, dict) and self.spot is self.node

    def on(self) -> tuple[m.OS, ...]:
        found = self.node.value.get("on", []) if isinstance(self.node.value, dict) else []
        return tuple(
            m.OS(item) for item in ([found] if isinstance(found, str) else found) if isinstance(item, str)
        )


class ClauseBuilder:
    """Collects the clauses of one document, and which place of it became which clause.

    ``places``: place in the document -> clause id. ``nodes``: clause id -> its node.
    """

    def __init__(
        self,
        root: Node,
        names: PathNames,
        groups: Mapping[str, Sequence[str]],
        faults: FaultList,
        prefix: str = "",
    ) -> None:
        self.root, self.names, self.groups, self.faults = root, names, groups, faults
        self.prefix = prefix  # in the ids of grants, for what comes from a baseline
        self._contents: dict[tuple[Any, ...], m.Clause] = {}
        self.clauses: list[m.Clause] = []
        self.places: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}

    def build(self) -> None:
        """All clauses that the document writes. Closures and defaults are added by ``resolve``."""
        for kind, name, read in SETTINGS:
            self._setting(kind, name, read)
        for path_kind in PATH_LISTS:
            for node in self.root.each(*path_kind.section.split(".")):
                entry = Entry.of(node, "path", "glob")
                with self.faults.at(entry.spot):
                    self._path(path_kind, entry)
        for kind, name in NAME_LISTS:
            for node in self.root.each(*kind.section.split(".")):
                entry = Entry.of(node, "name")
                if not entry.lacking:
                    self._grant(kind, entry, entry.main, **{name: entry.main})
        for node in self.root.each("network", "listen"):
            entry = Entry.of(node, "port")
            if entry.lacking:
                continue
            with self.faults.at(entry.spot):
                port = units.port(entry.main)
                self._grant(m.Listen, entry, str(port), port=port)
        for node in self.root.each("network", "connect"):
            entry = Entry.of(node, "to")
            with self.faults.at(entry.spot):
                self._connect(node, entry)
        self._environment()
        for node in self.root.each("secrets"):
            self._secret(node)
        found = self.root.get("resilience", "restart_limit")
        if found is not None:
            with self.faults.at(found):
                count, seconds = units.count_in_time(found.value)
                self.add(
                    m.RestartLimit(m.RestartLimit.section, count=count, seconds=seconds, origin=found.origin),
                    found,
                )

    def _setting(self, kind: type[m.Clause], name: str, read: Callable[[Any], Any]) -> None:
        node = self.root.get(*kind.section.split("."))
        if node is None:
            return
        if isinstance(node.value, list):
            self._no_repeats(node)
        with self.faults.at(node):
            values: dict[str, Any] = {name: read(node.value)}
            self.add(kind(kind.section, origin=node.origin, **values), node)

    def _no_repeats(self, node: Node) -> None:
        seen: set[str] = set()
        for item in node.each():
            if str(item.value) in seen:
                self.faults.add(item, f"{quote(item.value)} is listed twice.", "remove one of them")
            seen.add(str(item.value))

    def _path(self, kind: type[m.PathClause], entry: Entry) -> None:
        if entry.lacking:
            return
        glob = isinstance(entry.node.value, dict) and "glob" in entry.node.value
        ref = self.names.resolve(entry.main, glob=glob, on=entry.on(), pipe=kind is m.UnixSocket)
        self._grant(kind, entry, f"glob {ref.text}" if glob else ref.text, path=ref)

    def _connect(self, node: Node, entry: Entry) -> None:
        if entry.lacking:
            return
        to = peer(entry.main, self.groups)
        ports: list[m.Port] = []
        for item in node.each("ports"):
            with self.faults.at(item):
                ports.append(units.port(item.value))
                if ports.count(ports[-1]) > 1:
                    raise Refusal(f"the port {quote(item.value)} is listed twice.", "remove one of them")
        rate, most = node.get("rate"), node.get("max_open")
        values: dict[str, Any] = {"peer": to, "ports": tuple(sorted(ports))}
        if rate is not None:
            with self.faults.at(rate):
                values["rate"] = units.rate(rate.value)
        if most is not None:
            values["max_open"] = int(most.value)
        self._grant(m.Connect, entry, " ".join([to.text, *map(str, sorted(ports))]), **values)

    def _environment(self) -> None:
        node = self.root.get("environment", "allow")
        if node is not None:
            self._no_repeats(node)
        names = _sorted_names(node.value) if node is not None else ()
        origin = node.origin if node is not None else m.Origin()
        self.add(m.EnvironmentClosure(m.EnvironmentClosure.section, names=names, origin=origin), node)
        for name, value in self.root.entries("environment", "set"):
            clause_id = f"{m.EnvironmentSet.section}[{name}]"
            self.add(
                m.EnvironmentSet(clause_id, name=name, value=str(value.value), origin=value.origin), value
            )

    def _secret(self, node: Node) -> None:
        entry = Entry.of(node, "name")
        source, after = node.get("source"), node.get("rotate_after")
        values: dict[str, Any] = {"name": entry.main, "rotate_with": str(node.value.get("rotate_with", ""))}
        with self.faults.at(after or node):
            values["rotate_after"] = units.duration(after.value) if after is not None else None
        with self.faults.at(source or node):
            values["source"] = self.names.resolve(str(source.value if source else ""))
            self._grant(m.Secret, entry, entry.main, **values)

    def _grant(self, kind: type[m.Clause], entry: Entry, content: str, **values: Any) -> None:
        clause_id = entry.own_id or f"{kind.section}[{self.prefix}{content}]"
        if entry.own_id in SECTIONS:
            self.faults.add(
                entry.node, f"the id {quote(entry.own_id)} is the name of a section.", "write another id"
            )
            return
        clause = kind(clause_id, origin=entry.node.origin, why=entry.why, **values)
        twin = self._contents.setdefault(_content(clause), clause)
        if twin is not clause:
            message = f"{quote(content)} is listed twice, first on line {twin.origin.line}."
            self.faults.add(entry.node, message, "remove one of them")
            return
        self.add(clause, entry.node)

    def add(self, clause: m.Clause, node: Node | None) -> None:
        """Take a clause over; an id that is taken is a fault."""
        first = self.nodes.get(clause.id)
        if first is not None and node is not None:
            message = f"the id {quote(clause.id)} is taken, first on line {first.origin.line}."
            self.faults.add(node, message, "give one of the two an 'id:' of its own")
            return
        self.clauses.append(clause)
        if node is not None:
            self.nodes[clause.id] = node
            self.places[place_text(node.place)] = clause.id


def _content(clause: m.Clause) -> tuple[Any, ...]:
    """What a clause says, without its name. A path says what it is on each system, however it is written."""
    values = [
        getattr(clause, item.name) for item in fields(clause) if item.name not in ("id", "origin", "why")
    ]
    said = ((v.by_os, v.glob) if isinstance(v, m.PathRef) else v for v in values)
    return (type(clause), *said)
