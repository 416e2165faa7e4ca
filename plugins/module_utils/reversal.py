# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back to an earlier generation, asked for from outside; the guard's own way back is ``guard_script``."""

from __future__ import annotations

from . import bundles, features, machine, mending, removal, store, transaction
from .errors import HostError


def revert(policy, wish, origin=None, to=""):
    """Go back from generation ``to`` to ``origin`` ("" for no sandbox); changes nothing where ``to`` is not active.

    Without names: take back what is pending, else return to the generation confirmed before. What is pending goes
    back at once; a confirmed generation is left by a change like any other, pending until it is confirmed.
    """
    place = store.Store(policy)
    nothing = {
        "changed": False,
        "state": "unchanged",
        "digest": place.active(),
        "from": place.active(),
        "diff": [],
    }
    if not place.exists() or (to and place.active() != to and not _half_back(place)):
        return nothing
    with place.lock():
        transaction.fence(place, wish)
        if not wish.check:
            mending.mend(place)
            transaction.close_debug(place, wish)
        pending = place.open_change()
        if pending and origin in (None, pending.get("from")):
            return _revert_pending(place, pending, wish)
        confirmed = place.record("confirmed")
        if origin is None and not pending and confirmed.get("to") != place.active():
            return nothing
        before = confirmed.get("from", "") if origin is None else origin
        bundle = place.load(before)
    if before and bundle is None:
        raise HostError("policy %s has no generation %s on this host any more." % (policy, before[:12]))
    if bundle is None:
        return removal.absent(policy, wish)
    # The host itself vouches for what it ran before: the features have no say in going back.
    fingerprint = features.fingerprint(features.collect(bundle.unit, bundles.paths(bundle)))
    return transaction.apply(wish._replace(bundle=bundle._replace(fingerprint=fingerprint)))


def _half_back(place):
    """True where the last way back failed: the generation that is named active may not be whole."""
    return place.last_receipt().get("event") in ("REVERTING", "REVERT_FAILED")


def _revert_pending(place, pending, wish):
    answer = {
        "changed": True,
        "state": "reverted",
        "from": pending.get("to", ""),
        "digest": pending.get("from", ""),
    }
    if not wish.check:
        place.sign()
        step = machine.step(place.state(), "take back")
        if not transaction.take_back(place, pending, wish, step):
            raise HostError(
                "the way back failed: see %s." % place.at("receipts.jsonl"), state="revert_failed"
            )
    return answer
