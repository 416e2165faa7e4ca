# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back to an earlier generation, asked for from outside; the guard's own way back is ``guard_script``."""

from __future__ import annotations

from contextlib import nullcontext

from . import bundles, features, health, machine, mending, removal, store, transaction, units
from .errors import HostError


def revert(policy, wish, origin=None, to=""):
    """Go back from generation ``to`` to ``origin`` ("" for no sandbox); changes nothing where ``to`` is not active.

    Without names: take back what is pending, else return to the generation confirmed before. What is pending goes
    back at once; a confirmed generation is left by a change like any other, pending until it is confirmed, except that
    an application that was unwell before need not be well afterwards. All of it is done under one lock, so that what
    is active stays what was looked at.
    """
    place = store.Store(policy)
    if not place.exists():
        return _nothing(place)
    try:
        # A look leaves no trace, not even a lock.
        with nullcontext() if wish.check else place.lock():
            return _revert(place, wish, origin, to)
    except store.Gone:
        return _nothing(place)


def _nothing(place):
    active = place.active()
    return {"changed": False, "state": "unchanged", "digest": active, "from": active, "diff": []}


def _revert(place, wish, origin, to):
    if _left(place, to):
        return _nothing(place)
    transaction.fence(place, wish)
    if not wish.check:
        mending.mend(place)
        transaction.close_debug(place, wish)
        if _left(place, to):  # as far as it could be told before
            return _nothing(place)
    pending = place.open_change()
    if pending and origin in (None, pending.get("from")):
        return _revert_pending(place, pending, wish)
    before = _before(place) if origin is None else origin
    if before is None:
        return _nothing(place)
    bundle = place.load(before)
    if before and bundle is None:
        raise HostError("policy %s has no generation %s on this host any more." % (place.policy, before[:12]))
    if bundle is None:
        return removal.absent(place.policy, _asked(wish, place.active_bundle()), place)
    # The host itself vouches for what it ran before: the features have no say in going back.
    fingerprint = features.fingerprint(features.collect(bundle.unit, bundles.paths(bundle)))
    wish = _asked(wish._replace(bundle=bundle._replace(fingerprint=fingerprint)), bundle)
    return transaction.apply(wish, place)


def _asked(wish, bundle):
    """The wish with how the application is now, by the checks of ``bundle``; a look asks nothing of it."""
    return wish if wish.check or bundle is None else wish._replace(unwell=_unwell(bundle))


def _unwell(bundle):
    """What is wrong with the application before it goes back, by the checks that it is held to afterwards, or "".

    An application that another server's fault keeps from being healthy would keep what was just found bad.
    """
    facts = units.show([bundle.unit])[bundle.unit]
    if not units.running(facts):
        return ""  # nor will it be asked afterwards
    if facts.get("ActiveState") != "active":
        return "%s is %s." % (bundle.unit, facts["ActiveState"])
    try:
        health.check_all(bundle.health)
    except HostError as problem:
        return str(problem)
    return ""


def _before(place):
    """The generation confirmed before the active one; None without one. What nobody confirmed goes to what was."""
    confirmed = place.record("confirmed")
    if not confirmed:
        return None
    return confirmed.get("from", "") if confirmed.get("to") == place.active() else confirmed.get("to") or None


def _left(place, to):
    """Whether another generation than ``to`` is active, as far as ``active`` and the last way back can be believed."""
    active = place.active()
    unsure = active == store.UNREADABLE or (not active and mending.misnamed(place))
    return bool(to) and active != to and not unsure and not _half_back(place)


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
