# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gathers the verdicts of one backend, so that every clause of its table gets one and only one word.

Used by the Windows and macOS backends. A value that the backend's language cannot carry raises
``BackendError`` inside of ``emit``; here it becomes the refusal of that clause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..policy.model import OS, Clause, Manifest, Mode, PathRef
from .base import BackendError, Grade, Status, Support, Verdict

UNSEEN = "not seen on a real host"

Emit = Callable[[Any], None]


class Collector:
    """Verdicts of one manifest on one operating system, and the paths that clauses have there."""

    def __init__(self, manifest: Manifest, os: OS, support: Mapping[type[Clause], Support]) -> None:
        self.manifest = manifest
        self.os = os
        self.support = support
        self.audit = manifest.mode is Mode.AUDIT
        self._verdicts: list[Verdict] = []

    def say(self, clause: Clause, status: Status, detail: str = "", mechanism: str = "") -> None:
        """Record a verdict; the mechanism is the table's own unless another is named."""
        named = mechanism or self.support[type(clause)].mechanism
        mechanisms = (named,) if named and status is not Status.REFUSED else ()
        self._verdicts.append(Verdict(clause.id, status, mechanisms, detail))

    def enforced(self, clause: Clause, detail: str = "", mechanism: str = "") -> None:
        self.say(clause, Status.ENFORCED, detail, mechanism)

    def partial(self, clause: Clause, detail: str, mechanism: str = "") -> None:
        self.say(clause, Status.PARTIAL, detail, mechanism)

    def refused(self, clause: Clause, detail: str) -> None:
        self.say(clause, Status.REFUSED, detail)

    def unaudited(self, clause: Clause, detail: str = "") -> None:
        """Audit mode left this out: it could only be observed by denying it."""
        why = detail or f"{self.support[type(clause)].mechanism} can deny, it cannot only log"
        self.partial(clause, f"audit mode leaves it out: {why}", "none in audit mode")

    def path(self, clause: Clause, ref: PathRef) -> str | None:
        """The clause's path here, or None where there is nothing to do (the verdict is recorded then).

        Where the policy says nothing about the path on this system, no verdict is given at all:
        the joint refuses such a clause for all backends at once.
        """
        if not ref.known_on(self.os):
            return None
        path = ref.on(self.os)
        if path is None:
            self.enforced(clause, f"the policy says that {ref.text!r} does not exist here", "nothing to do")
        return path

    def run(self, emitters: Mapping[type[Clause], Emit]) -> None:
        """Give each clause to its emitter, and refuse those whose row says never."""
        for clause in self.manifest.clauses:
            row = self.support.get(type(clause))
            if row is None:
                continue
            if row.grade is Grade.NEVER:
                self.refused(clause, row.missing)
                continue
            try:
                emitters[type(clause)](clause)
            except BackendError as error:
                self.refused(clause, str(error))

    def verdicts(self) -> tuple[Verdict, ...]:
        """All verdicts, by clause id."""
        return tuple(sorted(self._verdicts, key=lambda verdict: verdict.clause))
