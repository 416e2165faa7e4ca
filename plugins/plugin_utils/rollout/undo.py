# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has to go back, from where to where: pure functions of plan, journal and receipts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from . import state, witness
from .errors import RolloutError
from .journal import Record
from .plan import Plan

Receipt = Mapping[str, Any]
LATER = "came later: take that back first"
# Variables that choose hosts, the stronger one first.
FLEET = ("rollout_fleet", "fleet")
# By whether the host itself shows that nothing of this rollout is there.
UNTOUCHED = {True: "it holds nothing of this rollout", False: "nobody knows what it holds"}


def hosts(
    plan: Plan, records: Iterable[Record], receipts: Mapping[str, Mapping[str, Receipt | None]]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Host -> policy -> {"from", "to", "shown"}: the generation to return to (empty for none) and the one to leave.

    It counts when the journal says that it may have changed, or when the host's own receipt says that this
    rollout made its active generation: either record may be lost. ``to`` is empty where neither knows it;
    ``shown`` says that the host itself then shows that it was never changed. ``later`` is there where something came
    over it since, and says what.
    """
    back: dict[str, dict[str, dict[str, Any]]] = {}
    for one in state.hosts(plan, records):
        receipt = (receipts.get(one.host) or {}).get(one.policy) or {}
        active = str(receipt.get("active") or "")
        came = witness.origin(receipt, plan.rollout, one.to_digest)
        origin = one.from_digest if came is None else came
        # What this rollout's own way back made active is the origin, too.
        ours = receipt.get("rollout") == plan.rollout and bool(active) and active != origin
        if not (one.touched or ours):
            continue
        to_digest = active if ours else one.to_digest
        shown = not to_digest and isinstance(receipt.get("active"), str)
        entry = {"from": origin, "to": to_digest, "shown": shown}
        if not ours and _is_below(one, origin, receipt, active):
            by = f" of {receipt['rollout']}" if receipt.get("rollout") else ""
            entry["later"] = f"it holds generation '{active[:12]}'{by}, which {LATER}"
        back.setdefault(one.host, {})[one.policy] = entry
    return back


def _is_below(one: state.HostState, origin: str, receipt: Receipt, active: str) -> bool:
    """Whether what the host holds was put over what this rollout brought, so that it is not back; True as well where
    its receipts do not reach so far."""
    if not active or not one.to_digest or not one.owed or active in (origin, one.to_digest):
        return False
    entries = [] if witness.fault(receipt) else witness.entries(receipt)
    came = {str(e.get("to") or ""): str(e.get("from") or "") for e in entries}
    while active in came:
        active = came.pop(active)
        if active in ("", origin):
            return False
        if active == one.to_digest:
            return True
    return True


def lines(plan: Plan, back: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """One line for each of them for people; nobody goes where nothing is to be left."""
    told = [
        f"{plan.label(host, policy)}: {entry.get('later') or _way(entry)}"
        for host, policies in back.items()
        for policy, entry in policies.items()
    ]
    return told or ["No host has to go back."]


def _way(entry: Mapping[str, Any]) -> str:
    if entry["to"]:
        return f"{entry['to'][:12]} -> {entry['from'][:12] or 'unconfined'}"
    return f"not touched: {UNTOUCHED[bool(entry['shown'])]}"


def left_out(plan: Plan, records: Iterable[Record], within: Collection[str]) -> tuple[str, ...]:
    """Touched hosts that are not ``within`` what a run may visit."""
    names = dict.fromkeys(one.host for one in state.touched(plan, records))
    allowed = set(within)
    return tuple(name for name in names if name not in allowed)


def refuse_limit(plan: Plan, records: Iterable[Record], limit: str, within: Collection[str]) -> None:
    """A rollback covers all touched hosts or does not begin: raises RolloutError naming the rest."""
    missing = left_out(plan, records, within)
    rest = f"leaves out {', '.join(missing)}" if missing else "cannot be part of a rollback"
    raise RolloutError(
        f"The limit '{limit}' {rest}, and nothing was rolled back.",
        f"Run it without --limit: the journal of '{plan.rollout}' knows which hosts were changed.",
    )


def refuse_fleet(
    plan: Plan,
    records: Iterable[Record],
    extra: Mapping[str, Any],
    fleet: Collection[str],
    everyone: Collection[str],
) -> None:
    """The same of a fleet that the command line (``extra``) gives, and that would be obeyed in part or not at all.

    ``fleet``: the hosts that it means, of ``everyone`` in the inventory. One that leaves out nobody does no harm.
    """
    given = next((extra[name] for name in FLEET if name in extra), None)
    if given is None:
        return
    there = set(everyone)
    missing = [name for name in left_out(plan, records, fleet) if name in there]
    if missing:
        raise RolloutError(
            f"The fleet '{given}' leaves out {', '.join(missing)}, and nothing was done.",
            f"Run it without -e fleet=: the journal of '{plan.rollout}' knows which hosts were changed.",
        )
