# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""confirm: PENDING -> CONFIRMED by a compare-and-swap of the nonce. Its call imports this file and little else.

With a lease it is SOAKING instead: the same call renews the lease, and without a lease it is the promotion.
"""

from __future__ import annotations

from . import machine, store, units
from .change import Change
from .errors import HostError


def confirm(policy, nonce, lease=0):
    """CONFIRMED, SOAKING, TOO_LATE or UNKNOWN, the digest installed now, and its application."""
    place = store.Store(policy)
    try:
        return _confirm(place, nonce, lease)
    except store.Gone:
        return {"changed": False, "state": "UNKNOWN", "active": ""}


def _confirm(place, nonce, lease):
    with place.lock():
        step = machine.step(place.state(nonce or "", lease=bool(lease)), "confirm")
        Change(place, place.record("pending"), lease).carry_out(step)
        answer = {"changed": bool(step.effects), "state": step.answer, "active": place.active()}
        if step.answer in ("CONFIRMED", "SOAKING"):
            answer["service"] = _afterwards(place, answer["active"], bool(step.effects))
        return answer


def _afterwards(place, active, first):
    """What systemd says of the application. It is confirmed: whatever is wrong here changes nothing about that."""
    try:
        if first and place.state().phase == machine.IDLE:
            place.prune({active, place.record("confirmed").get("from")})
        bundle = place.load(active)
        return units.service(bundle.unit) if bundle else None
    except (HostError, OSError):
        return None
