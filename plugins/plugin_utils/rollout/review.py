# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan for whoever reviews or approves it: hosts by wave, what changes, what it widens, what nobody enforces."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..policy import model
from . import knowledge
from .plan import Plan, PlannedHost

_NAMED = 8  # hosts that a line names before it counts the rest
Gaps = Mapping[tuple[str, str], Mapping[str, Sequence[str]]]


def lines(
    plan: Plan, notes: Mapping[str, Sequence[str]] | None = None, unenforced: Iterable[str] = ()
) -> list[str]:
    """One line a wave, below it one a host, below that what would change in which file; then what it means.

    ``unenforced``: of a plan that does not hold it, because nobody has to approve it.
    """
    width = max(len(plan.label(host.name, host.policy)) for host in plan.hosts)
    out = [f"{plan.rollout}: {count(len(plan.order), 'host')} in {count(len(plan.waves), 'wave')}"]
    for wave in plan.waves:
        out.append(f"{wave.name}: {count(len(wave.hosts), 'host')}")
        for host in (one for name in wave.hosts for one in plan.of(name)):
            label = plan.label(host.name, host.policy)
            out.append(f"  {label:<{width}}  {host.risk:<8}  {_change(host)}")
            out += [f"    {text}" for text in (notes or {}).get(label, ())]
    out += [f"widens: {text}" for text in plan.widens]
    return out + [f"not enforced in full: {text}" for text in (plan.unenforced or unenforced)]


def widens(
    hosts: Iterable[PlannedHost], manifests: Mapping[str, model.Manifest], known: Path
) -> tuple[str, ...]:
    """What the changes widen, each sentence once with its hosts. A host that was unconfined has nothing to widen."""
    found: dict[str, list[str]] = {}
    sentences: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        if not host.from_digest or not host.to_digest or host.from_digest == host.to_digest:
            continue
        key = (host.policy, host.from_digest)
        if key not in sentences:
            old, new = knowledge.recall(known, host.from_digest), manifests.get(host.policy)
            unknown = (
                f"what {host.policy} widens is not known: {host.from_digest[:12]} was not planned from here."
            )
            sentences[key] = knowledge.widenings(old, new) if old and new else [unknown]
        for sentence in sentences[key]:
            found.setdefault(sentence, []).append(host.name)
    return tuple(f"{named(names)}: {sentence}" for sentence, names in found.items())


def unenforced(policies: Collection[str], gaps: Gaps) -> list[str]:
    """Clauses that some or all hosts do not enforce in full; those that no host enforces say so."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    total: dict[str, int] = {}
    for (name, policy), clauses in gaps.items():
        total[policy] = total.get(policy, 0) + 1
        for clause, (status, detail) in clauses.items():
            found.setdefault((policy, clause, status, detail), []).append(name)
    out = []
    for (policy, clause, status, detail), names in sorted(found.items()):
        who = "no host" if len(names) == total[policy] else f"not {named(names)}"
        what = f"{policy} {clause}" if len(policies) > 1 else clause
        out.append(f"{what}: {who} ({status}{': ' + detail if detail else ''})")
    return out


def left_out(policies: Collection[str], listed: Mapping[str, object]) -> Iterator[str]:
    """Hosts that take none of the policies, by what their bulkhead_policies (``listed``) is: maybe one is misspelt."""
    found: dict[str, list[str]] = {}
    for name, value in listed.items():
        if isinstance(value, (list, tuple)) and not set(policies) & {str(one) for one in value}:
            found.setdefault(", ".join(str(one) for one in value), []).append(name)
    for value, names in found.items():
        yield f"left out: {named(names)}, by bulkhead_policies [{value}]"


def for_playbook(plan: Plan, journal: Path, told: Sequence[str]) -> dict[str, Any]:
    """What the plays after the planning one need. ``serial``: the sizes of the waves."""
    return {
        "changed": False,
        "rollout": plan.rollout,
        "policy": plan.policy,
        "epoch": plan.epoch,
        "serial": [len(wave.hosts) for wave in plan.waves],
        **order(plan, plan.order),
        "digest": plan.digest,
        "journal": str(journal),
        "lines": list(told),
    }


def order(plan: Plan, hosts: Sequence[str]) -> dict[str, list[str]]:
    """``order``: the hosts of all waves; ``watched`` or ``unwatched``: the same for the one play that takes them."""
    looked_at = plan.options.poll > 0
    return {
        "order": list(hosts),
        "watched": list(hosts) if looked_at else [],
        "unwatched": [] if looked_at else list(hosts),
    }


def named(names: Sequence[str]) -> str:
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + rest


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _change(host: PlannedHost) -> str:
    if not host.reachable:
        return "could not be reached"
    if host.current:
        return f"{host.to_digest[:12]}, nothing to change"
    if host.from_digest == host.to_digest:
        return f"{host.to_digest[:12]}, to be put right"
    return f"{host.from_digest[:12] or 'unconfined'} -> {host.to_digest[:12]}"
