# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether receipts can be believed: a chain that is not as it was written is no witness, and people are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Of a change that goes on; a guard's receipts of a way back name no rollout.
FORWARD = ("APPLYING", "PENDING", "SOAKING", "CONFIRMED")
Receipts = Mapping[str, Mapping[str, Mapping[str, Any] | None]]


def fault(receipt: Mapping[str, Any] | None) -> str:
    """What is wrong with the chain, naming its line; "" where nothing is, or nothing was told."""
    chain = receipt.get("receipts") if receipt else None
    return str(chain.get("fault") or "") if isinstance(chain, Mapping) else ""


def entries(receipt: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    """The latest receipts of a host, in order, whether they can be trusted or not."""
    recent = (receipt or {}).get("recent")
    return [one for one in recent if isinstance(one, Mapping)] if isinstance(recent, list) else []


def origin(receipt: Mapping[str, Any] | None, rollout: str, to_digest: str) -> str | None:
    """What the host had before ``rollout`` brought ``to_digest`` ("" for no sandbox), by its own receipts; None where
    they do not know it. With an empty ``to_digest``: before the first thing that the rollout did there.

    A journal knows it from the plan, which is older: another rollout may have been there in between.
    """
    trusted = [] if fault(receipt) else entries(receipt)
    own = [one for one in trusted if one.get("rollout") == rollout and one.get("event") in FORWARD]
    if to_digest:
        found = [one for one in own if one.get("to") == to_digest]
        return str(found[-1].get("from") or "") if found else None
    # Of a list that begins with it nobody knows what was cut off.
    return str(own[0].get("from") or "") if own and own[0] is not trusted[0] else None


def told(what: str) -> str:
    return f"its receipts cannot be trusted: {what}"


def lines(receipts: Receipts) -> list[str]:
    """One line for each host whose receipts are no witness."""
    return [
        f"{host}: {told(what)}"
        for host, policies in receipts.items()
        for what in dict.fromkeys(fault(receipt) for receipt in policies.values())
        if what
    ]
