# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy model: a policy after resolving, a flat tuple of clauses and what stands beside them.

The kinds of clauses are in ``kinds``; all of its names are this module's as well, so that who reads policies
imports from here alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TypeVar, cast

from .kinds import *  # noqa: F403  # pylint: disable=wildcard-import,unused-wildcard-import
from .kinds import OS, Clause, Origin, PathRef, Port

C = TypeVar("C", bound=Clause)


class Mode(str, Enum):
    AUDIT = "audit"
    ENFORCE = "enforce"


class Risk(str, Enum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Workload:
    """What the application is on one operating system: unit, service or launchd label."""

    os: OS
    name: str  # linux: unit, windows: service, macos: label
    executable: str = ""
    user: str = ""


@dataclass(frozen=True)
class Override:
    """overrides.<os>.<backend>.<key>: the escape hatch, counted in every report."""

    id: str
    os: OS
    backend: str
    key: str
    value: str
    origin: Origin = field(default=Origin(), compare=False, kw_only=True)


@dataclass(frozen=True)
class Waiver:
    """``clause`` names a clause or the section it belongs to; ``until`` is an ISO date."""

    clause: str
    on: OS
    reason: str
    owner: str
    until: str
    origin: Origin = field(default=Origin(), compare=False, kw_only=True)


@dataclass(frozen=True)
class HealthCheck:
    """health[i]. Exactly one of ``http``, ``tcp`` (host:port) and ``command`` (argv) is set. Seconds."""

    id: str
    http: str = ""
    status: int = 200
    tcp: str = ""
    command: tuple[str, ...] = ()
    within: float = 5.0


@dataclass(frozen=True)
class Example:
    """examples.must_allow[i] / must_deny[i]: an act and whether it must succeed.

    ``action``: read, write, execute, listen or connect. ``path`` for the first three, ``port`` for
    listen, ``address`` (a literal address, loopback included) and ``port`` for connect.
    """

    id: str
    allow: bool
    action: str
    path: PathRef | None = None
    address: str = ""
    port: Port | None = None
    why: str = field(default="", compare=False)
    origin: Origin = field(default=Origin(), compare=False, kw_only=True)


@dataclass(frozen=True)
class Manifest:
    """A resolved policy: flat, canonical, the same for every host and every operating system.

    Clauses, overrides, waivers, health checks and examples are sorted by their content, never by their
    place in the document, so that permuting a list changes nothing (``manifest.canonical`` gives the bytes
    whose SHA-256 is ``digest``).
    """

    policy: str
    version: str
    owner: str
    risk: Risk
    summary: str
    mode: Mode
    workloads: tuple[Workload, ...]
    clauses: tuple[Clause, ...]
    health: tuple[HealthCheck, ...] = ()
    examples: tuple[Example, ...] = ()
    overrides: tuple[Override, ...] = ()
    waivers: tuple[Waiver, ...] = ()
    digest: str = ""

    def workload(self, os: OS) -> Workload | None:
        return next((w for w in self.workloads if w.os is os), None)

    def of(self, kind: type[C]) -> tuple[C, ...]:
        """All clauses of exactly this type, in canonical order."""
        return cast("tuple[C, ...]", self._by_kind.get(kind, ()))

    @cached_property
    def _by_kind(self) -> dict[type[Clause], tuple[Clause, ...]]:
        found: dict[type[Clause], list[Clause]] = {}
        for clause in self.clauses:
            found.setdefault(type(clause), []).append(clause)
        return {kind: tuple(clauses) for kind, clauses in found.items()}
