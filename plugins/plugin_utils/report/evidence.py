# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence files: what each host showed for each clause of a policy (docs/contracts.md, Evidence)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1
OUTCOMES = ("failed", "inconclusive", "refused", "partial", "waived", "unclaimed", "enforced")  # worst first
BAD = ("failed", "inconclusive", "refused")


class ReportError(Exception):
    """What a report cannot be made of. The message names the file and what is wrong with it."""


@dataclass(frozen=True)
class ReadBackResult:
    """A fact that was read on the host: ``want`` and ``got`` are texts, ``relation`` joins them."""

    kind: str
    key: str
    want: str
    got: str
    ok: bool
    relation: str = "equals"
    unit: str = ""


@dataclass(frozen=True)
class ProbeResult:
    """An act that was tried inside the confinement. ``ok`` is None where nothing could be told from it."""

    id: str
    action: str
    target: str
    expect: str
    got: str
    ok: bool | None
    control: str = ""
    why: str = ""
    note: str = ""


@dataclass(frozen=True)
class ClauseEvidence:
    """One clause on one host. ``status`` is the claim, ``outcome`` what is left of it; ``proven`` is None where
    there was nothing to prove it with."""

    clause: str
    status: str
    outcome: str
    proven: bool | None
    by: tuple[str, ...] = ()
    mechanisms: tuple[str, ...] = ()
    detail: str = ""
    failures: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    readbacks: tuple[ReadBackResult, ...] = ()
    probes: tuple[ProbeResult, ...] = ()

    @property
    def bad(self) -> bool:
        return self.outcome in BAD


@dataclass(frozen=True)
class Drift:
    """One way in which the host is no longer what its generation says, and the clauses that it concerns."""

    what: str
    why: str
    clauses: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return f"drift: {self.what}: {self.why} ({', '.join(self.clauses) or 'no clause'})"


@dataclass(frozen=True)
class HostEvidence:
    """All clauses of one policy on one host. ``missing`` says why there is none; ``notes`` what a reader has to
    know of this host whatever its clauses say, such as a debug overlay that is open."""

    host: str
    policy: str
    version: str = ""
    mode: str = ""
    digest: str = ""
    unit: str = ""
    features_name: str = ""
    time: str = ""
    method: str = ""
    openings: tuple[str, ...] = ()
    troubles: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    drift: tuple[Drift, ...] = ()
    clauses: tuple[ClauseEvidence, ...] = ()
    missing: str = ""
    by_clause: Mapping[str, ClauseEvidence] = field(default_factory=dict, compare=False)

    @property
    def bad(self) -> bool:
        return bool(self.missing) or any(clause.bad for clause in self.clauses)


class _Reader:
    """Typed access to parsed JSON; collects faults instead of raising at the first."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.faults: list[str] = []

    def get(self, data: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
        value = data.get(name, default)
        if not isinstance(value, kind):
            self.faults.append(f"{self.where}: '{name}' is {type(value).__name__} and not {kind.__name__}")
            return kind()
        return value

    def text(self, data: Mapping[str, Any], name: str, default: str | None = "") -> str:
        return str(self.get(data, name, str, default))

    def texts(self, data: Mapping[str, Any], name: str) -> tuple[str, ...]:
        return tuple(str(value) for value in self.get(data, name, list, []))

    def each(
        self, data: Mapping[str, Any], name: str, make: Callable[[Mapping[str, Any]], Any]
    ) -> tuple[Any, ...]:
        items = self.get(data, name, list, [])
        good = [item for item in items if isinstance(item, dict)]
        if len(good) < len(items):
            self.faults.append(f"{self.where}: '{name}' holds something that is no mapping")
        return tuple(make(item) for item in good)


def parse(data: Any, where: str) -> HostEvidence:
    """Evidence from parsed JSON; ``where`` is named in faults. Raises ReportError with all faults."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise ReportError(f"{where}: this is no evidence of format {FORMAT}.")
    read = _Reader(where)

    def readback(item: Mapping[str, Any]) -> ReadBackResult:
        words = {name: read.text(item, name, None) for name in ("kind", "key", "want", "got")}
        return ReadBackResult(
            **words,
            ok=item.get("ok") is True,
            relation=read.text(item, "relation", "equals"),
            unit=read.text(item, "unit"),
        )

    def probe(item: Mapping[str, Any]) -> ProbeResult:
        words = {name: read.text(item, name, None) for name in ("id", "action", "target", "expect", "got")}
        rest = {name: read.text(item, name) for name in ("control", "why", "note")}
        ok = item.get("ok")
        return ProbeResult(**words, ok=ok if isinstance(ok, bool) else None, **rest)

    def clause(item: Mapping[str, Any]) -> ClauseEvidence:
        outcome = read.text(item, "outcome", None)
        if outcome not in OUTCOMES:
            read.faults.append(f"{where}: '{outcome}' is no outcome")
        proven = item.get("proven")
        return ClauseEvidence(
            clause=read.text(item, "clause", None),
            status=read.text(item, "status", None),
            outcome=outcome,
            proven=proven if isinstance(proven, bool) else None,
            by=read.texts(item, "by"),
            mechanisms=read.texts(item, "mechanisms"),
            detail=read.text(item, "detail"),
            failures=read.texts(item, "failures"),
            unsure=read.texts(item, "unsure"),
            readbacks=read.each(item, "readbacks", readback),
            probes=read.each(item, "probes", probe),
        )

    names = ("version", "mode", "digest", "unit", "features_name", "time", "method", "missing")
    clauses: tuple[ClauseEvidence, ...] = read.each(data, "clauses", clause)
    found = HostEvidence(
        host=read.text(data, "host", None),
        policy=read.text(data, "policy", None),
        **{name: read.text(data, name) for name in names},
        openings=read.texts(data, "openings"),
        troubles=read.texts(data, "troubles"),
        notes=read.texts(data, "notes"),
        drift=read.each(
            data,
            "drift",
            lambda item: Drift(read.text(item, "what"), read.text(item, "why"), read.texts(item, "clauses")),
        ),
        clauses=clauses,
        by_clause={item.clause: item for item in clauses},
    )
    if read.faults:
        raise ReportError("; ".join(read.faults) + ".")
    return found


def load(folder: Path, policies: tuple[str, ...] = ()) -> list[HostEvidence]:
    """All evidence below ``folder`` (``<policy>/<host>.json``), by policy and host. Raises ReportError."""
    faults: list[str] = []
    found: list[HostEvidence] = []
    for path in sorted(folder.glob("*/*.json")):
        if policies and path.parent.name not in policies:
            continue
        try:
            found.append(parse(json.loads(path.read_bytes()), str(path)))
        except (OSError, ValueError) as error:
            faults.append(f"{path}: cannot be read ({error}).")
        except ReportError as error:
            faults.append(str(error))
    if faults:
        raise ReportError(" ".join(faults))
    return sorted(found, key=lambda item: (item.policy, natural(item.host)))


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """A sort key by which h2 comes before h10."""
    parts: list[tuple[int, str]] = []
    number = ""
    for letter in name + "\0":
        if letter.isdecimal():
            number += letter
            continue
        if number:
            parts.append((int(number), ""))
            number = ""
        parts.append((-1, letter))
    return tuple(parts)
