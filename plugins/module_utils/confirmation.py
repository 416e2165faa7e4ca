# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""confirm: PENDING -> CONFIRMED by a compare-and-swap of the nonce. Its call imports this file and little else."""

from __future__ import annotations

from . import files, guard, store, units


def named(fields):
    return {key: fields[key] for key in ("from", "to", "nonce", "rollout", "epoch")}


def confirm(policy, nonce):
    """Compare-and-swap of the nonce: CONFIRMED, TOO_LATE or UNKNOWN, the digest installed now, and its application."""
    place = store.Store(policy)
    if not place.exists():
        return {"changed": False, "state": "UNKNOWN", "active": ""}
    with place.lock():
        state = _swap(place, nonce)
        answer = {"changed": state == "CONFIRMED", "state": state, "active": place.active()}
        if state == "CONFIRMED":
            guard.dismiss(policy)
            bundle = place.load(answer["active"])
            answer["service"] = units.service(bundle.unit) if bundle else None
        return answer


def _swap(place, nonce):
    pending = place.record("pending")
    if nonce and pending.get("nonce") == nonce:
        in_time = pending.get("boot_id") == store.boot_id() and pending["deadline"] > store.uptime()
        if not in_time or pending.get("phase") != "pending":
            return "TOO_LATE"  # the guard is on its way, and only one of the two may act
        place.confirm()
        files.remove(place.at("restart"))
        place.receipt("CONFIRMED", **named(pending))
        place.prune({pending["from"], pending["to"]})
        return "CONFIRMED"
    # The answer to an earlier confirm may have been lost on the way: asking twice is no fault.
    if nonce and place.record("confirmed").get("nonce") == nonce:
        return "CONFIRMED"
    return "TOO_LATE" if nonce and place.record("reverted").get("nonce") == nonce else "UNKNOWN"
