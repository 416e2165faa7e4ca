# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a Document to a Manifest: path names, peers, baselines, defaults, examples, waivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from . import load
from . import model as m
from .checks import Resolved, check
from .clauses import CLOSURES, SECTIONS, ClauseBuilder
from .components import read_components
from .examples import check_examples, read_examples
from .extends import Baseline, Capping, Widenings
from .faults import Fault, FaultList, PolicyFaults
from .manifest import digest
from .rest import read_health, read_overrides
from .source import Node
from .waivers import read_waivers
from .workloads import read_path_names, read_workloads

Groups = Mapping[str, Sequence[str]]


def load_and_resolve(
    path_or_name: str | Path,
    extra_dirs: Sequence[str | Path] = (),
    groups: Groups | None = None,
    today: date | None = None,
) -> m.Manifest:
    """A policy by path or name, all the way. Raises PolicyFaults with every fault of every stage at once.

    ``extra_dirs`` are searched before the collection's own policies. ``groups``: inventory group -> addresses
    of its hosts. ``today`` decides which waivers have expired.
    """
    document, faults = load.read(path_or_name, extra_dirs)
    if document is None:
        raise PolicyFaults(faults)
    return _resolve(document, groups or {}, today or date.today(), faults)


def resolve(document: load.Document, groups: Groups, today: date) -> m.Manifest:
    """Resolve a loaded policy. Raises PolicyFaults with all that is wrong beyond form."""
    return _resolve(document, groups, today, [])


def _resolve(document: load.Document, groups: Groups, today: date, before: Sequence[Fault]) -> m.Manifest:
    root, faults = document.root, FaultList()
    if not root.value:
        raise PolicyFaults(before)
    workloads = read_workloads(root, faults)
    builder = ClauseBuilder(root, read_path_names(root, workloads, faults), groups, faults)
    builder.build()
    _grants_imply_calls(builder)
    for component, node in read_components(document, lambda one: resolve(one, groups, today), faults):
        builder.add(component, node)

    examples = read_examples(root, builder.names, faults)
    baselines = [_baseline(one, workloads, faults) for one in document.baselines]
    widenings = Widenings.read(root, builder.places)
    capping = Capping(builder.clauses, builder.nodes, root, widenings, faults)
    clauses = [*capping.run(baselines, _defaults(builder.clauses)), *_closures(builder)]
    for one in baselines:
        said = {held.content for held in examples}
        kept = [held for held in one.examples if not widenings.allow(held.example.id)]
        examples.extend(held for held in kept if held.content not in said)
    widenings.report_unused(builder.nodes, faults)

    known = {clause.id for clause in clauses}
    waivers = read_waivers(root, builder.places, known, SECTIONS, today, faults)
    waived = frozenset((waiver.clause, waiver.on) for waiver in waivers)
    systems = sorted(workloads, key=lambda os: os.value)
    check(Resolved(clauses, systems, waived, builder.nodes, root, faults))
    check_examples(examples, clauses, systems, builder.nodes, faults)
    health, overrides = read_health(root, faults), read_overrides(root)
    _no_idle_systems(root, systems, faults)
    if before or faults.items:
        raise PolicyFaults([*before, *faults.items])

    manifest = m.Manifest(
        policy=str(root.value["policy"]),
        version=str(root.value["version"]),
        owner=str(root.value["owner"]),
        risk=m.Risk(root.value.get("risk", "medium")),
        summary=str(root.value.get("summary", "")),
        mode=m.Mode(root.value.get("mode", "enforce")),
        workloads=tuple(workloads[os] for os in systems),
        clauses=tuple(sorted(clauses, key=lambda c: (c.section, c.id != c.section, c.id, type(c).__name__))),
        health=tuple(sorted(health, key=lambda h: h.id)),
        examples=tuple(sorted((held.example for held in examples), key=lambda e: e.id)),
        overrides=tuple(sorted(overrides, key=lambda o: o.id)),
        waivers=tuple(sorted(waivers, key=lambda w: (w.clause, w.on.value))),
    )
    return replace(manifest, digest=digest(manifest))


def _baseline(document: load.Document, workloads: Mapping[m.OS, m.Workload], faults: FaultList) -> Baseline:
    """A baseline's clauses and examples. Their ids carry its name: its $names are not the policy's."""
    names = read_path_names(document.root, workloads, faults)
    builder = ClauseBuilder(document.root, names, {}, faults, prefix=f"{document.name}:")
    builder.build()
    clauses = tuple(
        _with_calls(c, {"basic"}) for c in builder.clauses if not isinstance(c, m.EnvironmentClosure)
    )
    examples = tuple(read_examples(document.root, names, faults, baseline=document.name))
    return Baseline(document.name, clauses, examples)


def _with_calls(clause: m.Clause, groups: set[str]) -> m.Clause:
    if isinstance(clause, m.Syscalls):
        return replace(clause, groups=tuple(sorted({*clause.groups, *groups})))
    return clause


def _grants_imply_calls(builder: ClauseBuilder) -> None:
    """A grant brings the calls along without which it is void: a policy says each thing once."""
    users = [c for c in builder.clauses if isinstance(c, (m.Listen, m.Connect))]
    groups = {"network_server" if isinstance(c, m.Listen) else "network_client" for c in users} | {"basic"}
    section = m.Syscalls.section
    written = next((c for c in builder.clauses if isinstance(c, m.Syscalls)), m.Syscalls(section))
    builder.clauses[:] = [c for c in builder.clauses if c is not written] + [_with_calls(written, groups)]
    if users:
        builder.nodes.setdefault(section, builder.nodes[users[0].id])


def _defaults(own: Sequence[m.Clause]) -> tuple[m.Clause, ...]:
    network = any(isinstance(c, (m.Listen, m.Connect)) for c in own)
    return (
        m.Families(m.Families.section, names=("ipv4", "ipv6", "unix") if network else ("unix",)),
        m.WritableAndExecutable(m.WritableAndExecutable.section, allow=False),
        m.CoreDumps(m.CoreDumps.section, allow=False),
        m.SharedMemory(m.SharedMemory.section, private=True),
    )


def _closures(builder: ClauseBuilder) -> list[m.Clause]:
    """A closure for every section; the environment's was made with its names."""
    held = {type(clause) for clause in builder.clauses}
    made: list[m.Clause] = []
    for kind in CLOSURES:
        if kind not in held:
            node = builder.root.get(*kind.section.split("."))
            made.append(kind(kind.section, origin=node.origin if node else m.Origin()))
    return made


def _no_idle_systems(root: Node, systems: Sequence[m.OS], faults: FaultList) -> None:
    """Overrides and waivers for a system without a workload would do nothing and say nothing."""
    if any(fault.place.startswith("workload") for fault in root.source.faults):
        return
    known = {os.value for os in systems}
    for key, node in root.entries("overrides"):
        if key not in known:
            fix = f"add workload.{key}, or remove the overrides"
            faults.add(node, f"the policy has no workload on '{key}'.", fix, key=True)
    for node in root.each("waivers"):
        on = node.get("on")
        if on is not None and on.value not in known:
            fix = f"add workload.{on.value}, or remove the waiver"
            faults.add(on, f"the policy has no workload on '{on.value}'.", fix)
