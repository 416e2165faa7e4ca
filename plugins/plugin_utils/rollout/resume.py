# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a rollout goes on: a pure function of its plan, its journal and what the hosts themselves say.

A controller that was killed leaves intents without an outcome. The host's own receipt tells the outcome; where it
cannot be read the intent stands, and the wave is applied again, which changes nothing on a host that has it. Doing all
of it twice finds nothing new the second time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from . import state, witness
from .journal import Record
from .plan import Plan

CATCH_UP = "catch-up"
Receipts = witness.Receipts


def reconcile(plan: Plan, records: Iterable[Record], receipts: Receipts, epoch: int) -> list[Record]:
    """What the receipts know that the journal does not, as records to append."""
    found = []
    for one in state.hosts(plan, records):
        receipt = (receipts.get(one.host) or {}).get(one.policy) or {}
        outcome = _outcome(plan, one, receipt)
        came = witness.origin(receipt, plan.rollout, one.to_digest)
        if outcome:
            found.append(
                Record(
                    "apply",
                    outcome,
                    plan.rollout,
                    epoch,
                    one.wave,
                    one.host,
                    one.from_digest if came is None else came,
                    one.to_digest or str(receipt.get("active") or ""),
                    one.policy,
                    "by the host's own receipt",
                )
            )
    return found


def _outcome(plan: Plan, one: state.HostState, receipt: Mapping[str, Any]) -> str:
    """The outcome of an apply that the receipt shows and the journal does not, or nothing."""
    active = receipt.get("active")
    if not isinstance(active, str) or receipt.get("pending") or one.rollback in state.SETTLED:
        return ""
    # Receipts that were changed do not say who made it: then the wave is applied again, which does no harm.
    ours = receipt.get("rollout") == plan.rollout and not witness.fault(receipt)
    holds = bool(active) and ours and active == (one.to_digest or active)
    unknown = one.apply in (state.INTENT, "failed", "unreachable")
    if holds and active != one.from_digest and (unknown or not one.apply):
        return "changed"
    if unknown and active == one.from_digest:
        return "reverted"
    if one.apply == "changed" and not one.rollback and active == one.from_digest != one.to_digest:
        return "reverted"
    return ""


def left(plan: Plan, records: Iterable[Record], receipts: Receipts | None = None) -> tuple[str, ...]:
    """The waves that have not passed since their hosts were last touched, in order. Nor has one that a person vouched
    for while it soaks: its hosts take the change back, and only a gate that passes ends that."""
    done = state.passed(records)
    soaking = {
        name for name, policies in (receipts or {}).items() if any(_soaks(plan, r) for r in policies.values())
    }
    return tuple(
        wave.name for wave in plan.waves if wave.name not in done or not soaking.isdisjoint(wave.hosts)
    )


def _soaks(plan: Plan, receipt: Mapping[str, Any] | None) -> bool:
    """Whether the host takes back by itself what this rollout brought."""
    pending = (receipt or {}).get("pending")
    ours = isinstance(pending, Mapping) and pending.get("rollout") == plan.rollout
    return ours and plan.options.lapse == "revert"


def catches_up(plan: Plan, wave: str) -> bool:
    """Whether that is the wave of hosts that catch up, and not one of the plan that has its name."""
    return wave == CATCH_UP and wave not in plan.names


def behind(
    plan: Plan, records: Iterable[Record], receipts: Receipts, dropped: Collection[tuple[str, str]] = ()
) -> tuple[list[str], list[str], list[tuple[str, str]]]:
    """(hosts that can catch up, hosts that are still away, what will not come) of a rollout that was promoted.

    What will not come are those (host, policy) that are ``dropped``: the host does not take that policy any more.
    """
    ready, away, never = dict[str, None](), dict[str, None](), list[tuple[str, str]]()
    lines = list(records)
    good = _good(lines)
    for one in state.hosts(plan, lines):
        receipt = (receipts.get(one.host) or {}).get(one.policy)
        active = receipt.get("active") if receipt else None
        has = active is None or (active == one.to_digest and not _soaks(plan, receipt))
        if has and one.apply in state.HELD and (one.host, one.policy) in good:
            continue
        if (one.host, one.policy) in dropped:
            never.append((one.host, one.policy))
        elif active is None:
            away[one.host] = None
        else:
            ready[one.host] = None
    return [name for name in ready if name not in away], list(away), never


def _good(records: Iterable[Record]) -> set[tuple[str, str]]:
    """(host, policy) whose wave passed after it was last applied. Each run of hosts that catch up is a wave of its own:
    a later one says nothing of those that were applied before it."""
    last: dict[tuple[str, str], tuple[str, int]] = {}
    good: set[tuple[str, str]] = set()
    for record in records:
        own = record.wave, record.epoch if record.wave == CATCH_UP else 0
        if record.phase == "apply":
            last[record.host, record.policy] = own
            good.discard((record.host, record.policy))
        elif (record.phase, record.outcome) == ("gate", "pass"):
            good |= {key for key, wave in last.items() if wave == own}
    return good


def stands(records: Sequence[Record]) -> str:
    """The wave that a person may vouch for: it has changed, and its gate did not let it pass; "" for none."""
    gate = next((record for record in reversed(records) if record.phase == "gate"), None)
    if gate is None or gate.outcome not in ("pause", "inconclusive"):
        return ""
    applied = any(r.phase == "apply" and r.wave == gate.wave and r.outcome != state.INTENT for r in records)
    return gate.wave if applied and gate.wave not in state.passed(records) else ""
