# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a rollout ended, in lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import state, undo
from .journal import Record
from .plan import Plan
from .review import named

STAY = "hosts stay as they are"
RESUME = "resume"
ENDS = {
    "pass": "passed: every wave was judged good.",
    "abort": "aborted: every host that was changed had to go back.",
    "pause": f"paused: {STAY}, and {RESUME} goes on.",
    "inconclusive": f"stopped: not enough was seen to go on; {STAY}.",
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


def end_lines(
    plan: Plan, records: Iterable[Record], end: str, journal: Path, again: str = RESUME
) -> list[str]:
    """How it ended, hosts by state, the gates, what is owed and where the journal is.

    ``again``: the playbook that goes on with what was paused.
    """
    lines = list(records)
    hosts = state.hosts(plan, lines)
    by_state = Counter(host.name for host in hosts)
    if end == "rolled_back" and set(by_state) <= {"unchanged", "untouched"}:
        end = "nothing_to_undo"
    out = [f"{plan.rollout} {_ending(plan, lines, end).replace(RESUME, again)}"]
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


def _ending(plan: Plan, lines: Sequence[Record], end: str) -> str:
    """In one sentence. A change that soaks stays only where its gate passed or paused: see ``rollout_lease``."""
    last: dict[tuple[str, str], Record] = {}
    for record in lines:
        if record.phase in ("apply", "rollback"):
            last[record.host, record.policy] = record
    kept = {wave for wave, outcome in state.judged(lines).items() if outcome in ("pass", "pause")}
    soak = any(
        (one.phase, one.outcome) == ("apply", "changed") and one.wave not in kept for one in last.values()
    )
    if not soak or not plan.options.lease or plan.options.lapse != "revert":
        return ENDS[end]
    return ENDS[end].replace(
        STAY, f"hosts whose change soaks take it back within {plan.options.lease} seconds"
    )


def _cut(text: str, most: int = 160) -> str:
    """The journal has all of it."""
    return text if len(text) <= most else text[: most - 1] + "…"
