# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a rollout ended, in lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from . import state, undo
from .journal import Record
from .plan import Plan
from .review import named

ENDS = {
    "pass": "passed: every wave was judged good.",
    "abort": "aborted: every host that was changed had to go back.",
    "pause": "paused: hosts stay as they are, and resume goes on.",
    "inconclusive": "stopped: not enough was seen to go on; hosts stay as they are.",
    "rolled_back": "rolled back: every host that was changed is back.",
    "nothing_to_undo": "rolled back: there was nothing to take back.",
    "owed": "not rolled back everywhere.",
}
# By whether something else came over what was to go back.
LEFT = {
    False: "could not be shown to be back; run the rollback again.",
    True: "hold what came later; roll that back first, then this one again.",
}
GOING_BACK = frozenset({"abort", "owed"})


def end_lines(plan: Plan, records: Iterable[Record], end: str, journal: Path) -> list[str]:
    """How it ended, hosts by state, the gates, what is owed and where the journal is."""
    lines = list(records)
    hosts = state.hosts(plan, lines)
    by_state = Counter(host.name for host in hosts)
    if end == "rolled_back" and set(by_state) <= {"unchanged", "untouched"}:
        end = "nothing_to_undo"
    out = [f"{plan.rollout} {ENDS[end]}"]
    for name, count in sorted(by_state.items(), key=lambda item: (-item[1], item[0])):
        who = named([plan.label(host.host, host.policy) for host in hosts if host.name == name])
        out.append(f"  {count} {name}: {who}")
    out += [f"  gate {r.wave}: {r.outcome}. {_cut(r.detail)}" for r in lines if r.phase == "gate"]
    owed = [host for host in hosts if host.owed] if end in GOING_BACK else []
    for later, what in LEFT.items():
        labels = [
            plan.label(one.host, one.policy) for one in owed if one.detail.endswith(undo.LATER) is later
        ]
        out += [f"  OWED: {', '.join(labels)} {what}"] if labels else []
    return [*out, f"  journal: {journal}"]


def _cut(text: str, most: int = 160) -> str:
    """The journal has all of it."""
    return text if len(text) <= most else text[: most - 1] + "…"
