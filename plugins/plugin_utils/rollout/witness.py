# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether receipts can be believed: a chain that is not as it was written is no witness, and people are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Receipts = Mapping[str, Mapping[str, Mapping[str, Any] | None]]


def fault(receipt: Mapping[str, Any] | None) -> str:
    """What is wrong with the chain, naming its line; "" where nothing is, or nothing was told."""
    chain = receipt.get("receipts") if receipt else None
    return str(chain.get("fault") or "") if isinstance(chain, Mapping) else ""


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
