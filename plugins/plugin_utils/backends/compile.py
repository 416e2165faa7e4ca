# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The joint of all backends: every clause of a policy gets one verdict on a host, and none is dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from ..bundle import Bundle
from ..policy import model as m
from ..policy.model import OS, Clause, Manifest, PathClause, PathRef, Secret, Waiver
from .base import BackendError, Compilation, Features, Status, Verdict
from .examples import example_probes
from .linux_names import is_instance, plain
from .linux_patterns import fixed
from .registry import BACKENDS, OVERRIDABLE, backends

_RANK = {Status.ENFORCED: 0, Status.PARTIAL: 1, Status.REFUSED: 2}


def compile_bundle(manifest: Manifest, features: Features, today: date) -> Bundle:
    """The finished bundle of ``manifest`` for a host with ``features``; the same bytes for the same input.

    ``today`` decides which waivers still count. Raises BackendError only where there is nothing to compile for:
    no workload on this system, a unit that is not on the host, a host without systemd.
    """
    workload = manifest.workload(features.os)
    if workload is None:
        raise BackendError(
            f"Policy '{manifest.policy}' has no workload for {features.os.value}: add workload.{features.os.value}."
        )
    instance = str(features.data.get("unit", {}).get("name", ""))
    if features.os is OS.LINUX and is_instance(instance, workload.name):
        workload = replace(workload, name=instance)
    usable, settled = _settle_paths(manifest, features.os)
    made = [backend.compile(usable, features) for backend in backends(features.os)]
    lost = _refuse_overrides(manifest, features.os)
    verdicts = join(manifest, features.os, [*made, Compilation(verdicts=(*settled, *lost))], today)
    return Bundle(
        os=features.os,
        policy=manifest.policy,
        version=manifest.version,
        mode=manifest.mode,
        policy_digest=manifest.digest,
        fingerprint=features.fingerprint,
        workload=workload,
        artifacts=tuple(artifact for one in made for artifact in one.artifacts),
        units=tuple(unit for one in made for unit in one.units),
        health=manifest.health,
        readbacks=tuple(readback for one in made for readback in one.readbacks),
        probes=tuple(probe for one in made for probe in one.probes) + example_probes(manifest, features.os),
        verdicts=verdicts,
        paths=asked_paths(manifest, features.os),
    )


def asked_paths(manifest: Manifest, os: OS) -> tuple[str, ...]:
    """Paths of which a host has to say whether a link is in them, because a backend goes by names."""
    if os is not OS.LINUX:
        return ()
    components = manifest.of(m.Component)
    clauses = [*manifest.clauses, *(clause for one in components for clause in one.clauses)]
    refs = [ref for clause in clauses if (ref := _path(clause)) is not None and not ref.glob]
    paths = {path for ref in refs if (path := ref.on(os))} | {one.program(os) for one in components}
    patterns = [one.path for one in clauses if isinstance(one, (m.Read, m.Write)) and one.path.glob]
    paths |= {fixed(path) for ref in patterns if (path := ref.on(os))}
    return tuple(sorted({plain(path) for path in paths if path}))


def _settle_paths(manifest: Manifest, os: OS) -> tuple[Manifest, tuple[Verdict, ...]]:
    """The manifest without clauses whose path this system does not have, and the verdicts of those."""
    kept: list[Clause] = []
    settled: list[Verdict] = []
    for clause in manifest.clauses:
        ref = _path(clause)
        if ref is None or ref.on(os) is not None:
            kept.append(clause)
        elif ref.known_on(os):
            detail = f"'{ref.text}' does not exist on {os.value}: needs nothing here"
            settled.append(Verdict(clause.id, Status.ENFORCED, ("nothing to do",), detail))
        else:
            detail = (
                f"The policy does not say what '{ref.text}' is on {os.value}: "
                "add it to paths, or null where it does not exist."
            )
            settled.append(Verdict(clause.id, Status.REFUSED, (), detail))
    return replace(manifest, clauses=tuple(kept)), tuple(settled)


def _refuse_overrides(manifest: Manifest, os: OS) -> tuple[Verdict, ...]:
    """A refusal for each override that names no backend, or one that takes no overrides: it would do nothing."""
    names, takers = BACKENDS[os], OVERRIDABLE[os]
    write = f"write {' or '.join(takers)}" if takers else f"no backend of {os.value} does, leave it out"
    return tuple(
        Verdict(
            override.id,
            Status.REFUSED,
            (),
            f"'{override.backend}' takes no overrides ({override.id}): {write}."
            if override.backend in names
            else f"'{override.backend}' is no backend of {os.value} ({override.id}): known are {', '.join(names)}; "
            f"of these {' and '.join(takers) if takers else 'none'} takes overrides.",
        )
        for override in manifest.overrides
        if override.os is os and override.backend not in takers
    )


def _path(clause: Clause) -> PathRef | None:
    if isinstance(clause, PathClause):
        return clause.path
    return clause.source if isinstance(clause, Secret) else None


# What a policy opens. Every backend has to let it through; of what it closes, one lock that holds is enough.
_GRANTS = (
    m.Privilege,
    m.Read,
    m.Write,
    m.Execute,
    m.Spawn,
    m.Listen,
    m.Connect,
    m.UnixSocket,
    m.BusName,
    m.Device,
    m.EnvironmentSet,
    m.Secret,
)


def join(manifest: Manifest, os: OS, made: Iterable[Compilation], today: date) -> tuple[Verdict, ...]:
    """One verdict for each clause and override, in the manifest's order.

    What closes something is as good as the best that any backend gives, and a clause that nobody claims is refused.
    What opens something is not enforced where one backend keeps it closed, nor where one opens more than it says and
    no other closes that again. A hole that no mechanism closes lowers whatever was said, and below "enforced" nothing
    that a backend said is left out. Verdicts of equal rank are merged. A valid waiver turns refused and partial into
    waived and keeps the reason.
    """
    given: dict[str, list[Verdict]] = {}
    holes: dict[str, list[str]] = {}
    loose: list[tuple[str, str]] = []
    exact: set[str] = set()  # clauses that a backend enforces without opening more
    for compilation in made:
        wide = {clause for clause, _why in compilation.loose}
        for verdict in compilation.verdicts:
            given.setdefault(verdict.clause, []).append(verdict)
            if verdict.status is Status.ENFORCED and verdict.clause not in wide:
                exact.add(verdict.clause)
        for clause, why in compilation.holes:
            holes.setdefault(clause, []).append(why)
        loose += compilation.loose
    for clause, why in loose:
        if clause not in exact:
            holes.setdefault(clause, []).append(why)
    waivers = [waiver for waiver in manifest.waivers if waiver.on is os]
    names = [(clause.id, clause.section, isinstance(clause, _GRANTS)) for clause in manifest.clauses]
    names += [(override.id, override.id, True) for override in manifest.overrides if override.os is os]
    return tuple(
        _waive(
            _lower(_best(name, given.get(name, []), os, opens), holes.get(name, [])), section, waivers, today
        )
        for name, section, opens in names
    )


def _best(name: str, verdicts: list[Verdict], os: OS, opens: bool) -> Verdict:
    if not verdicts:
        return Verdict(name, Status.REFUSED, (), f"No backend of {os.value} carries this clause.")
    rank = min(_RANK[verdict.status] for verdict in verdicts)
    best = [verdict for verdict in verdicts if _RANK[verdict.status] == rank]
    # The strongest come first; what holds a part of it as well is named after them.
    holding = best + [verdict for verdict in verdicts if rank < _RANK[verdict.status] < _RANK[Status.REFUSED]]
    mechanisms = tuple(dict.fromkeys(name for verdict in holding for name in verdict.mechanisms))
    if rank != _RANK[Status.REFUSED] and len(mechanisms) > 1:
        mechanisms = tuple(name for name in mechanisms if not name.endswith(" none"))
    details = [verdict.detail for verdict in best]
    # What one backend keeps closed, wholly or in part, is not granted by another that opens it.
    closing = (Status.REFUSED, Status.PARTIAL) if opens else (Status.REFUSED,)
    refused = [verdict.detail for verdict in verdicts if verdict.status in closing]
    joined = Verdict(name, best[0].status, mechanisms, "; ".join(dict.fromkeys(filter(None, details))))
    if joined.status is Status.PARTIAL or (joined.status is Status.ENFORCED and opens):
        return _lower(joined, refused)
    return joined


def _lower(verdict: Verdict, reasons: list[str]) -> Verdict:
    """The verdict with all reasons why it does not hold as a whole; the same where there are none."""
    if not reasons or verdict.status is Status.REFUSED:
        return verdict
    # A backend may have given the same reason itself.
    said = [reason for reason in dict.fromkeys(reasons) if reason and reason not in verdict.detail]
    detail = "; ".join([verdict.detail] * bool(verdict.detail) + said)
    return replace(verdict, status=Status.PARTIAL, detail=detail)


def _waive(verdict: Verdict, section: str, waivers: list[Waiver], today: date) -> Verdict:
    if verdict.status is Status.ENFORCED:
        return verdict
    matching = [waiver for waiver in waivers if _speaks_of(waiver.clause, verdict.clause, section)]
    for waiver in matching:
        if waiver.until >= today.isoformat():
            said = f"waived by {waiver.owner} until {waiver.until}: {waiver.reason}"
            return replace(verdict, status=Status.WAIVED, detail=f"{said} ({verdict.detail})")
    for waiver in matching:
        expired = f"the waiver of {waiver.owner} expired on {waiver.until}"
        verdict = replace(verdict, detail=f"{verdict.detail}; {expired}")
    return verdict


def _speaks_of(waiver: str, clause: str, section: str) -> bool:
    return waiver in (clause, section)
