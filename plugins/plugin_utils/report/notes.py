# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people want to read beside evidence and no host knows: reasons, owners, waivers, overrides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from ..policy.model import Manifest

SOON = 30  # days before the end of a waiver in which the report calls it due


@dataclass(frozen=True)
class WaiverNote:
    """A waiver and how long it holds: ``days`` left, negative when it is over."""

    clause: str
    on: str
    reason: str
    owner: str
    until: str
    days: int

    @property
    def state(self) -> str:
        return "expired" if self.days < 0 else "due" if self.days <= SOON else "open"


@dataclass(frozen=True)
class PolicyNotes:
    """``whys`` maps a clause id to its reason; ``overrides`` are ids of settings past the policy language."""

    policy: str
    version: str = ""
    summary: str = ""
    owner: str = ""
    risk: str = ""
    mode: str = ""
    digest: str = ""
    whys: Mapping[str, str] = field(default_factory=dict)
    waivers: tuple[WaiverNote, ...] = ()
    overrides: tuple[str, ...] = ()


def notes(manifest: Manifest, today: date) -> PolicyNotes:
    """Notes of a resolved policy. ``today`` decides how long waivers hold."""
    return PolicyNotes(
        policy=manifest.policy,
        version=manifest.version,
        summary=manifest.summary,
        owner=manifest.owner,
        risk=manifest.risk.value,
        mode=manifest.mode.value,
        digest=manifest.digest,
        whys={clause.id: clause.why for clause in manifest.clauses if clause.why},
        waivers=tuple(
            WaiverNote(
                w.clause, w.on.value, w.reason, w.owner, w.until, (date.fromisoformat(w.until) - today).days
            )
            for w in manifest.waivers
        ),
        overrides=tuple(item.id for item in manifest.overrides),
    )
