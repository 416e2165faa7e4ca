# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleet by clause: evidence of many hosts laid out for the report. Pure; no format knows evidence files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .evidence import ClauseEvidence, HostEvidence, natural
from .notes import PolicyNotes

# What one cell says: (word, sentence). The three grades of "enforced" tell how it is known.
STATES: dict[str, str] = {
    "failed": "claimed, and a probe or a read-back spoke against it",
    "inconclusive": "a probe could not tell",
    "missing": "no evidence from this host",
    "refused": "this host cannot enforce it",
    "partial": "enforced with a known gap",
    "waived": "not enforced, by a waiver with an end",
    "claimed": "enforced as compiled; nothing was there to prove it",
    "read": "enforced; read back from the running system",
    "proven": "enforced; witnessed by a probe and its control",
    "none": "this host has no such clause",
}
BAD_STATES = ("failed", "inconclusive", "missing", "refused")


def state(clause: ClauseEvidence | None) -> str:
    """The word of STATES for one clause on one host."""
    if clause is None:
        return "missing"
    if clause.outcome not in ("enforced", "unclaimed"):
        return clause.outcome
    if "probe" in clause.by:
        return "proven"
    return "read" if clause.by else "claimed"


@dataclass(frozen=True)
class Cell:
    host: str
    state: str
    evidence: ClauseEvidence | None


@dataclass(frozen=True)
class Row:
    """One clause over all hosts. ``worst`` is the worst of its cells' states; ``groups`` joins hosts that
    showed the same."""

    clause: str
    section: str
    why: str
    cells: tuple[Cell, ...]
    worst: str
    anchor: str
    groups: tuple[tuple[tuple[str, ...], ClauseEvidence], ...] = ()


@dataclass(frozen=True)
class HostColumn:
    evidence: HostEvidence
    counts: Mapping[str, int]

    @property
    def name(self) -> str:
        return self.evidence.host

    @property
    def bad(self) -> int:
        return sum(self.counts.get(name, 0) for name in BAD_STATES)


@dataclass(frozen=True)
class PolicyFleet:
    """One policy on its fleet."""

    policy: str
    notes: PolicyNotes
    hosts: tuple[HostColumn, ...]
    rows: tuple[Row, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not any(self.counts.get(name, 0) for name in BAD_STATES)

    @property
    def sections(self) -> tuple[tuple[str, tuple[Row, ...]], ...]:
        """Rows by the first word of their section, in the order of the rows."""
        names = list(dict.fromkeys(row.section for row in self.rows))
        return tuple((name, tuple(row for row in self.rows if row.section == name)) for name in names)


def gather(
    evidence: Iterable[HostEvidence], notes: Mapping[str, PolicyNotes] | None = None
) -> tuple[PolicyFleet, ...]:
    """One PolicyFleet for each policy that has evidence, by name."""
    known = notes or {}
    by_policy: dict[str, list[HostEvidence]] = {}
    for item in evidence:
        by_policy.setdefault(item.policy, []).append(item)
    return tuple(
        _policy(name, sorted(items, key=lambda item: natural(item.host)), known.get(name, PolicyNotes(name)))
        for name, items in sorted(by_policy.items())
    )


def _policy(policy: str, hosts: list[HostEvidence], notes: PolicyNotes) -> PolicyFleet:
    clauses = sorted({clause.clause for host in hosts for clause in host.clauses})
    rows = tuple(_row(policy, number, clause, hosts, notes) for number, clause in enumerate(clauses))
    columns = []
    for host in hosts:
        if host.missing:
            columns.append(HostColumn(host, {"missing": 1}))
        else:
            columns.append(HostColumn(host, Counter(state(item) for item in host.clauses)))
    total: Counter[str] = Counter()
    for column in columns:
        total.update(column.counts)
    return PolicyFleet(policy, notes, tuple(columns), rows, total)


def _row(policy: str, number: int, clause: str, hosts: list[HostEvidence], notes: PolicyNotes) -> Row:
    cells = []
    groups: dict[object, tuple[ClauseEvidence, list[str]]] = {}
    for host in hosts:
        found = host.by_clause.get(clause)
        cells.append(Cell(host.host, state(found) if found or host.missing else "none", found))
        if found:
            groups.setdefault(_likeness(found), (found, []))[1].append(host.host)
    order = list(STATES)
    # A host without evidence is a trouble of the host and not of every clause.
    worst = min((cell.state for cell in cells if cell.evidence), key=order.index, default="missing")
    ranked = sorted(groups.values(), key=lambda item: order.index(state(item[0])))
    return Row(
        clause=clause,
        section=clause.partition("[")[0].partition(".")[0],
        why=notes.whys.get(clause, ""),
        cells=tuple(cells),
        worst=worst,
        anchor=f"{policy}-{number}",
        groups=tuple((tuple(names), found) for found, names in ranked),
    )


def _likeness(found: ClauseEvidence) -> object:
    """Equal for hosts that showed the same; sizes and counters in the notes of a control do not tell them apart."""
    probes = tuple((probe.id, probe.got, probe.ok) for probe in found.probes)
    readbacks = tuple((item.kind, item.key, item.want, item.ok) for item in found.readbacks)
    return (found.outcome, found.by, found.mechanisms, found.detail, found.failures, probes, readbacks)


def summary(fleets: Iterable[PolicyFleet]) -> dict[str, int]:
    """Figures of the whole report: hosts, clauses (host by clause), and one count for each state."""
    fleets = list(fleets)
    total: Counter[str] = Counter()
    for fleet in fleets:
        total.update(fleet.counts)
    names = {column.name for fleet in fleets for column in fleet.hosts}
    probes = [p for f in fleets for c in f.hosts for e in c.evidence.clauses for p in e.probes]
    readbacks = [r for f in fleets for c in f.hosts for e in c.evidence.clauses for r in e.readbacks]
    return {
        "hosts": len(names),
        "policies": len(fleets),
        "clauses": sum(len(column.evidence.clauses) for fleet in fleets for column in fleet.hosts),
        "probes": len(probes),
        "denials": sum(1 for probe in probes if probe.ok and probe.expect == "deny"),
        "readbacks": len(readbacks),
        "waivers": sum(len(fleet.notes.waivers) for fleet in fleets),
        "overrides": sum(len(fleet.notes.overrides) for fleet in fleets),
        **{name: total.get(name, 0) for name in STATES},
    }
