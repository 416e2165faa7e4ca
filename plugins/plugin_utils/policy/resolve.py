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
from .checks import Waived, check
from .clauses import CLOSURES, SECTIONS, ClauseBuilder
from .examples import check_examples, read_examples
from .extends import Caps, Capping, Widenings
from .faults import Fault, FaultList, PolicyFaults, Refusal, quote
from .manifest import digest
from .paths import PROGRAM, PathNames, family, normal
from .rest import read_components, read_health, read_overrides
from .source import Node
from .waivers import read_waivers

Groups = Mapping[str, Sequence[str]]


def load_and_resolve(
    path_or_name: str | Path,
    extra_dirs: Sequence[str | Path] = (),
    groups: Groups | None = None,
    today: date | None = None,
) -> m.Manifest:
    """A policy by path or name, all the way. Raises PolicyFaults with every fault of every stage at once."""
    document, faults = load.read(path_or_name, extra_dirs)
    if document is None:
        raise PolicyFaults(faults)
    return _resolve(document, groups or {}, today or date.today(), faults)


def resolve(document: load.Document, groups: Groups, today: date) -> m.Manifest:
    """Resolve a loaded policy. ``groups``: inventory group -> addresses of its hosts. Raises PolicyFaults."""
    return _resolve(document, groups, today, [])


def _resolve(document: load.Document, groups: Groups, today: date, before: Sequence[Fault]) -> m.Manifest:
    root, faults = document.root, FaultList()
    if not root.value:
        raise PolicyFaults(before)
    workloads = _workloads(root, faults)
    programs = {os: (workload.executable or None) for os, workload in workloads.items()}
    names = _path_names(root, programs, faults)
    builder = ClauseBuilder(root, names, groups, faults)
    builder.build()
    _grants_imply_calls(builder)

    widenings = Widenings({str(node.value["clause"]): node for node in root.each("widens")})
    examples = read_examples(root, names, faults)
    caps, inherited_examples, inherited_nodes = [], [], dict(builder.nodes)
    for baseline in document.baselines:
        below = ClauseBuilder(baseline.root, _path_names(baseline.root, programs, faults), {}, faults)
        below.build()
        written = tuple(c for c in below.clauses if not isinstance(c, m.EnvironmentClosure))
        caps.append(Caps(baseline.name, tuple(_with_basic(c) for c in written)))
        inherited_nodes = {**below.nodes, **inherited_nodes}
        own = {one.id for one, _ in (*examples, *inherited_examples)}
        for one, node in read_examples(baseline.root, below.names, faults):
            if one.id not in own and not widenings.allow(one.id):
                inherited_examples.append((one, node))
    capping = Capping(builder.clauses, builder.nodes, root, widenings, faults)
    clauses = [*capping.run(caps, _defaults(builder.clauses)), *_closures(builder.clauses)]
    known = {clause.id for clause in clauses}
    widenings.report_unused(known, faults)

    waivers = read_waivers(root, builder.places, known, SECTIONS, today, faults)
    waived = Waived(frozenset((waiver.clause, waiver.on) for waiver in waivers))
    check(clauses, workloads, waived, builder.nodes, root, faults)
    check_examples([*examples, *inherited_examples], clauses, workloads, faults)
    health = read_health(root, faults)
    overrides = read_overrides(root)
    components = read_components(document, faults)
    if before or faults.items:
        raise PolicyFaults([*before, *faults.items])

    manifest = m.Manifest(
        policy=str(root.value["policy"]),
        version=str(root.value["version"]),
        owner=str(root.value["owner"]),
        risk=m.Risk(root.value.get("risk", "medium")),
        summary=str(root.value.get("summary", "")),
        mode=m.Mode(root.value.get("mode", "enforce")),
        workloads=tuple(sorted(workloads.values(), key=lambda w: w.os.value)),
        clauses=tuple(sorted(clauses, key=lambda c: (c.section, c.id != c.section, c.id, type(c).__name__))),
        health=tuple(sorted(health, key=lambda h: h.id)),
        examples=tuple(sorted((one for one, _ in (*examples, *inherited_examples)), key=lambda e: e.id)),
        overrides=tuple(sorted(overrides, key=lambda o: o.id)),
        waivers=tuple(sorted(waivers, key=lambda w: (w.clause, w.on.value))),
        components=tuple(sorted(components)),
    )
    return replace(manifest, digest=digest(manifest))


def _workloads(root: Node, faults: FaultList) -> dict[m.OS, m.Workload]:
    found: dict[m.OS, m.Workload] = {}
    for key, node in root.entries("workload"):
        os = m.OS(key)
        executable = node.get("executable")
        path = ""
        if executable is not None:
            with faults.at(executable):
                path = _on_system(str(executable.value), os)
        name = next(
            (str(node.value[word]) for word in ("unit", "service", "label") if word in node.value), ""
        )
        # A faulty executable is not a missing one: say only what is wrong with it.
        found[os] = m.Workload(os, name, path or ("?" if executable else ""), str(node.value.get("user", "")))
    return found


def _on_system(path: str, os: m.OS) -> str:
    shown = normal(path)
    if os not in family(shown):
        fix = (
            "write a drive letter, such as C:\\app"
            if os is m.OS.WINDOWS
            else "write a path that begins with '/'"
        )
        raise Refusal(f"{quote(path)} is no path of {os.value}.", fix)
    return shown


def _path_names(root: Node, programs: Mapping[m.OS, str | None], faults: FaultList) -> PathNames:
    names: dict[str, dict[m.OS, str | None]] = {}
    # Names whose value was cut for a fault are still known, so that one fault is told once.
    for place in root.source.keys:
        if len(place) == 2 and place[0] == "paths":
            names[str(place[1])] = {}
    for name, node in root.entries("paths"):
        if name == PROGRAM:
            fix = "write workload.<system>.executable instead"
            faults.add(node, "$program is predefined: the workload's executable.", fix, key=True)
            continue
        for key, value in node.entries():
            os = m.OS(key)
            with faults.at(value):
                names[name][os] = None if value.value is None else _on_system(str(value.value), os)
    return PathNames(names, programs)


def _with_basic(clause: m.Clause) -> m.Clause:
    if isinstance(clause, m.Syscalls):
        return replace(clause, groups=tuple(sorted({*clause.groups, "basic"})))
    return clause


def _grants_imply_calls(builder: ClauseBuilder) -> None:
    """A grant brings the calls along without which it is void: one policy says each thing once."""
    groups = {"basic"}
    groups |= {"network_server"} if any(isinstance(c, m.Listen) for c in builder.clauses) else set()
    groups |= {"network_client"} if any(isinstance(c, m.Connect) for c in builder.clauses) else set()
    written = next((c for c in builder.clauses if isinstance(c, m.Syscalls)), m.Syscalls(m.Syscalls.section))
    full = replace(written, groups=tuple(sorted(groups | set(written.groups))))
    builder.clauses[:] = [*(c for c in builder.clauses if not isinstance(c, m.Syscalls)), full]


def _defaults(own: Sequence[m.Clause]) -> tuple[m.Clause, ...]:
    network = any(isinstance(c, (m.Listen, m.Connect)) for c in own)
    return (
        m.Families(m.Families.section, names=("ipv4", "ipv6", "unix") if network else ("unix",)),
        m.WritableAndExecutable(m.WritableAndExecutable.section, allow=False),
        m.CoreDumps(m.CoreDumps.section, allow=False),
        m.SharedMemory(m.SharedMemory.section, private=True),
    )


def _closures(own: Sequence[m.Clause]) -> list[m.Clause]:
    """A closure for every section; the environment's was made with its names."""
    held = {type(clause) for clause in own}
    return [kind(kind.section) for kind in CLOSURES if kind not in held]
