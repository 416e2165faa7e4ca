# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan and journal of a rollout out of the hosts' own receipts, where the ledger was lost.

Receipts tell what became of each host, and from where to where; they know neither waves and gates nor the policy. So
the rebuilt rollout holds the hosts that it touched in one wave that nobody has judged: it can be rolled back, and
resuming judges what the hosts hold and applies nothing. A host that did not answer may have been touched.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from . import state, witness
from .errors import RolloutError
from .journal import Record
from .plan import Options, Plan, PlannedHost, Version, Wave

WAVE = "rebuilt"
SILENT = "it did not answer when the rollout was rebuilt"
_WRITTEN = frozenset({"plan", "apply", "rollback"})
Receipts = witness.Receipts


def latest(receipts: Receipts) -> tuple[str, int]:
    """(rollout, epoch) of the newest that any receipt names. Raises RolloutError where none names one."""
    found = [
        (int(entry.get("epoch") or 0), str(entry["rollout"]))
        for policies in receipts.values()
        for receipt in policies.values()
        for entry in witness.entries(receipt)
        if entry.get("rollout")
    ]
    if not found:
        raise RolloutError("No host has a receipt of a rollout of this policy.")
    epoch, rollout = max(found)
    return rollout, epoch


def is_rebuilt(plan: Plan) -> bool:
    return plan.names == {WAVE}


def is_unused(records: Iterable[Record]) -> bool:
    """Whether a rebuilt journal has only what ``rebuild`` wrote, so that nothing is lost with it."""
    return all(record.phase in _WRITTEN and record.detail for record in records)


def unlike(plan: Plan, records: Iterable[Record], receipts: Receipts) -> list[str]:
    """Who does not hold what a rebuilt rollout brought, one sentence each: then there is nothing to judge."""
    found = []
    for one in state.hosts(plan, records):
        receipt = (receipts.get(one.host) or {}).get(one.policy) or {}
        active, label = receipt.get("active"), plan.label(one.host, one.policy)
        if active is None or receipt.get("pending"):
            found.append(f"{label} does not answer" if active is None else f"{label} is being changed")
        elif active != one.to_digest or not active:
            wanted = one.to_digest[:12] or "nobody knows what"
            found.append(f"{label} holds '{active[:12]}', not '{wanted}'")
    return found


def silent(result: Any, policies: Iterable[str]) -> list[str]:
    """The policies of which a host did not say what it holds. It is asked for each, also for those that it does not
    take any more."""
    if not isinstance(result, Mapping) or not isinstance(result.get("policies"), Mapping):
        return list(policies)
    told = result["policies"]
    return [one for one in policies if (told.get(one) or {}).get("active") is None]


def rebuild(
    rollout: str,
    epoch: int,
    policies: Sequence[str],
    receipts: Receipts,
    created: str,
    silent: Collection[tuple[str, str]] = (),
) -> tuple[Plan, list[Record]]:
    """The plan of the hosts that ``rollout`` touched, and the records that their receipts amount to.

    ``silent``: (host, policy) of those that did not answer. They are planned as unreachable, so that they are owed.
    """
    hosts: list[PlannedHost] = []
    records = [Record("plan", "made", rollout, epoch)]
    for name in sorted(receipts):
        for policy in policies:
            receipt = receipts[name].get(policy)
            entries = [entry for entry in witness.entries(receipt) if entry.get("rollout") == rollout]
            if not entries and (name, policy) in silent:
                hosts.append(PlannedHost(name, reachable=False, policy=policy))
                records += [
                    Record("apply", outcome, rollout, epoch, WAVE, name, policy=policy, detail=SILENT)
                    for outcome in (state.INTENT, "unreachable")
                ]
            if not entries:
                continue
            origin, target = str(entries[0].get("from") or ""), str(entries[0].get("to") or "")
            hosts.append(PlannedHost(name, from_digest=origin, to_digest=target, policy=policy))
            for phase, outcome in _outcomes(entries, origin, target):
                record = Record(
                    phase,
                    outcome,
                    rollout,
                    int(entries[-1].get("epoch") or epoch),
                    WAVE,
                    name,
                    *((origin, target) if phase == "apply" else (target, origin)),
                    policy=policy,
                    detail=_detail(receipt or {}),
                )
                records.append(record)
    order = tuple(dict.fromkeys(host.name for host in hosts))
    plan = Plan(
        rollout,
        epoch,
        "+".join(policies),
        created,
        tuple(hosts),
        (Wave(WAVE, order),),
        Options(),
        tuple(Version(policy) for policy in policies),
    )
    records[0] = Record("plan", "made", rollout, epoch, detail=f"plan {plan.digest}, rebuilt from receipts")
    return plan, records


def _detail(receipt: Mapping[str, Any]) -> str:
    fault = witness.fault(receipt)
    return witness.told(fault) if fault else "by the host's own receipt"


def _outcomes(entries: Iterable[Mapping[str, Any]], origin: str, target: str) -> list[tuple[str, str]]:
    """(phase, outcome) of each step. A change in the other direction under the rollout's own name is its rollback."""
    steps: list[tuple[str, str]] = []
    for entry in entries:
        back = entry.get("to") == origin and entry.get("from") == target and origin != target
        phase = "rollback" if back else "apply"
        event = str(entry.get("event"))
        if event == "APPLYING":
            steps.append((phase, "intent"))
        elif event == "CONFIRMED":
            steps.append((phase, "rolled_back" if back else "changed"))
        elif event == "REVERTED":
            steps.append((phase, "failed" if back else "reverted"))
        elif event == "REVERT_FAILED":
            steps.append((phase, "failed"))
    return steps
