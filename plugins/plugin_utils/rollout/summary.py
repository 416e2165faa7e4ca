# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan and an end, in lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import state
from .journal import Record
from .plan import Plan, PlannedHost

ENDS = {
    "pass": "passed: every wave was judged good.",
    "abort": "aborted: every host that was changed had to go back.",
    "pause": "paused, as asked: hosts stay as they are.",
    "inconclusive": "stopped: not enough was seen to go on; hosts stay as they are.",
    "rolled_back": "rolled back: every host that was changed is back.",
    "owed": "not rolled back everywhere.",
}
GOING_BACK = frozenset({"abort", "owed"})


def plan_lines(plan: Plan, diffs: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    """One line a wave, below it one a host, below that what would change in which file."""
    width = max(len(name) for name in plan.order)
    lines = [f"{plan.rollout}: {_count(len(plan.hosts), 'host')} in {_count(len(plan.waves), 'wave')}"]
    for wave in plan.waves:
        lines.append(f"{wave.name}: {_count(len(wave.hosts), 'host')}")
        for name in wave.hosts:
            host = plan.host(name)
            if host is None:
                raise AssertionError("a wave holds hosts of the plan")
            lines.append(f"  {name:<{width}}  {host.risk:<8}  {_change(host)}")
            lines += [f"    {text}" for text in (diffs or {}).get(name, ())]
    return lines


def for_playbook(
    plan: Plan, journal: Path, diffs: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """What the plays after the planning one need. ``serial``: the sizes of the waves."""
    return {
        "changed": False,
        "rollout": plan.rollout,
        "policy": plan.policy,
        "epoch": plan.epoch,
        "order": list(plan.order),
        "serial": [len(wave.hosts) for wave in plan.waves],
        "wave_of": {name: plan.wave_of(name) for name in plan.order},
        "waves": [{"name": wave.name, "hosts": list(wave.hosts)} for wave in plan.waves],
        "soak": plan.options.soak,
        "digest": plan.digest,
        "journal": str(journal),
        "lines": plan_lines(plan, diffs),
    }


def end_lines(plan: Plan, records: Iterable[Record], end: str, journal: Path) -> list[str]:
    """How it ended, hosts by state, the gates, what is owed and where the journal is."""
    lines = list(records)
    hosts = state.hosts(plan, lines)
    by_state = Counter(host.name for host in hosts)
    out = [f"{plan.rollout} {ENDS[end]}"]
    for name, count in sorted(by_state.items(), key=lambda item: (-item[1], item[0])):
        who = ", ".join(host.host for host in hosts if host.name == name)
        out.append(f"  {count} {name}: {who}")
    out += [f"  gate {r.wave}: {r.outcome}. {_cut(r.detail)}" for r in lines if r.phase == "gate"]
    owed = [host.host for host in hosts if host.owed] if end in GOING_BACK else []
    if owed:
        out.append(f"  OWED: {', '.join(owed)} could not be shown to be back; run the rollback again.")
    return [*out, f"  journal: {journal}"]


def _change(host: PlannedHost) -> str:
    if not host.reachable:
        return "could not be reached"
    if host.current:
        return f"{host.to_digest[:12]}, nothing to change"
    if host.from_digest == host.to_digest:
        return f"{host.to_digest[:12]}, to be put right"
    return f"{host.from_digest[:12] or 'unconfined'} -> {host.to_digest[:12]}"


def _cut(text: str, most: int = 160) -> str:
    """The journal has all of it."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
