# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply and revert: IDLE -> STAGED -> ARMED -> PENDING, then CONFIRMED (``confirmation``) or back to what was before.

Whoever changes a policy's files holds its lock from the first look to the last write. From ``arm`` on the guard is
awake: it reverts when this process dies (a free lock says so), when its deadline passes, or when the host reboots.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import namedtuple

from . import (
    apparmor,
    bundles,
    diffing,
    drift,
    drift_tables,
    features,
    files,
    footprint,
    guard,
    health,
    overlay_state,
    plan,
    receipts,
    store,
    units,
    validators,
)
from .confirmation import named
from .errors import HostError

# Seconds for switching, restarting and health checks, before the time to confirm begins.
APPLY_LIMIT = 240

Wish = namedtuple("Wish", "bundle confirm_within restart rollout epoch check")


def apply(wish):
    """Bring the host to ``wish.bundle``; the answer is plain data for the module's result."""
    bundle = wish.bundle
    facts = features.collect(bundle.unit, bundles.paths(bundle))
    if facts["unit"]["load_state"] == "not-found":
        raise HostError("unit %s does not exist on this host." % bundle.unit, state="refused")
    fingerprint = features.fingerprint(facts)
    if fingerprint != bundle.fingerprint:
        return {"changed": False, "state": "stale_features", "features": facts, "fingerprint": fingerprint}
    place = store.Store(bundle.policy)
    plan.check_owner(bundle.policy, bundle.unit, facts["unit"].get("names", ()), installed_bundles())
    if place.active() != bundle.digest:
        files.check_writable([place.at("lock")] + [item.path for item in bundle.artifacts])
    if wish.check:
        planned = _plan(place, bundle, wish)
        plan.refuse_running_job(planned)
        if planned.write:
            validators.validate(bundle, facts["unit"]["fragment"], check=True)
        return _with_debug(_answer(place, bundle, planned, "unchanged"), place, bundle)
    footprint.note_base()
    place.create()
    with place.lock():
        # Without a receipt no change of this policy ever began here: one that comes to nothing leaves nothing.
        fresh = not os.path.exists(place.at("receipts.jsonl"))
        try:
            return _apply_locked(place, wish, facts)
        except (HostError, OSError) as problem:
            if fresh and getattr(problem, "state", "unchanged") in ("unchanged", "refused"):
                from . import removal

                removal.forget(place)
            raise


def _with_debug(answer, place, bundle):
    """In check mode: an open debug overlay would be closed, and plans name it."""
    found = overlay_state.facts(place.policy, bundle.unit)
    if found["open"]:
        answer.update(changed=True, debug=found)
        answer["reasons"] = ["is %s; would be closed" % overlay_state.sentence(found)] + answer["reasons"]
    return answer


def _apply_locked(place, wish, facts):
    fence(place, wish)
    closed = close_debug(place, wish)
    answer = _converge(place, wish, facts)
    if closed:
        answer.update(changed=True, reasons=["was %s; closed" % closed] + answer["reasons"])
    return answer


def close_debug(place, wish):
    """A sandbox that is open for debugging closes before anything else is decided; the sentence about it, or ""."""
    bundle = wish.bundle or place.load(place.active())
    unit = bundle.unit if bundle else ""
    if not overlay_state.noted(place.policy, unit):
        return ""
    from . import overlay_close

    found = overlay_state.facts(place.policy)
    if found["open"] and not wish.restart and overlay_close.restarts_at_close(place.policy, ""):
        raise HostError(
            "policy %s is %s. Closing it restarts the service: allow that, or wait."
            % (place.policy, overlay_state.sentence(found)),
            state="refused",
        )
    return overlay_close.close_locked(place, "the policy was applied or taken back", unit)


def _converge(place, wish, facts):
    bundle = wish.bundle
    adopted = _settle_pending(place, bundle, wish)
    if adopted:
        return adopted
    planned = _plan(place, bundle, wish)
    if plan.empty(planned) and place.active() == bundle.digest:
        answer = _answer(place, bundle, planned, "unchanged")
        renewed = _renew_guard()
        if drift.of_features(bundle, place, facts):
            drift.remember(place, bundle.digest, facts)
            renewed = {"changed": True, "reasons": ["the host's features changed, what they ask for did not"]}
        return {**answer, "service": units.service(bundle.unit), **renewed}
    plan.refuse_running_job(planned)
    return _change(place, bundle, planned, wish, facts)


def installed_bundles():
    """{policy: Bundle} of all policies with an active generation."""
    found = {}
    for name in store.policies():
        place = store.Store(name)
        bundle = place.load(place.active())
        if bundle:
            found[name] = bundle
    return found


def _renew_guard():
    if guard.installed():
        return {}
    guard.install()
    return {"changed": True, "reasons": ["the guard was not as this version has it"]}


def _plan(place, bundle, wish):
    active = place.active()
    return plan.make(place.load(active), bundle, wish.restart, drift.remembered(place, active))


def fence(place, wish):
    """Refuse a run of a lower epoch: a controller that was thought dead must not act any more."""
    seen = place.epoch()
    if wish.epoch < seen:
        raise HostError(
            "epoch %d is refused: a run with epoch %d has been here. To act by hand after it, give 'epoch: %d'."
            % (wish.epoch, seen, seen),
            state="refused",
        )


def _settle_pending(place, bundle, wish):
    """What an earlier run left unconfirmed: the same generation is adopted, anything else goes back first."""
    pending = place.record("pending")
    if not os.path.exists(place.at("pending.json")):
        return None
    alive = pending.get("phase") == "pending" and pending.get("boot_id") == store.boot_id()
    in_time = alive and int(pending.get("deadline", 0)) > store.uptime()
    planned = _plan(place, bundle, wish)
    if in_time and pending.get("to") == bundle.digest == place.active() and plan.empty(planned):
        _pend(place, pending, wish, phase="pending")
        guard.watch(place.policy)
        return _answer(place, bundle, planned, "pending", nonce=pending["nonce"], origin=pending["from"])
    place.sign()
    guard.revert(place.policy, pending.get("nonce", ""))
    return None


def _pend(place, fields, wish, phase):
    fields.update(phase=phase, deadline=store.uptime() + wish.confirm_within)
    if phase == "applying":
        fields["deadline"] += APPLY_LIMIT
    place.write_pending(fields)


def _change(place, bundle, planned, wish, facts):
    """Stage, validate, arm, switch, smoke-test. The lock is held. Nothing outlives a failure."""
    old = place.active()
    if old and place.fault(old):
        raise HostError("there would be no way back: %s." % place.fault(old))
    diff = diffing.of_change(planned.write, [item.path for item in planned.remove])
    place.sign()
    place.stage(bundle)
    validators.validate(bundle, facts["unit"]["fragment"])
    guard.install()
    if wish.epoch > place.epoch():
        files.write(place.at("epoch"), b"%d\n" % wish.epoch)
    fields = {
        "from": old,
        "to": bundle.digest,
        "nonce": secrets.token_hex(16),
        "boot_id": store.boot_id(),
        "epoch": wish.epoch,
        "rollout": wish.rollout,
    }
    files.write(place.at("restart"), "".join(name + "\n" for name in planned.restart).encode())
    _pend(place, fields, wish, phase="applying")
    try:
        guard.arm(place.policy)
        place.receipt("APPLYING", **named(fields))
        # From here on the guard counts the new generation as installed and takes all of it back.
        place.set_active(bundle.digest)
        paths = [item.path for item in planned.write + planned.remove]
        dropins = any(item.kind == "systemd_dropin" for item in planned.write + planned.remove)
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        with footprint.touching(paths):
            plan.switch(planned)
        now = _smoke_test(bundle, planned)
        _remember(place, bundle, facts, now, began if dropins else 0, drift.remembered(place, old))
    except (HostError, OSError) as problem:
        raise _undo(place, fields, problem) from None
    _pend(place, fields, wish, phase="pending")
    place.receipt("PENDING", **named(fields))
    return _answer(place, bundle, planned, "pending", nonce=fields["nonce"], origin=old, diff=diff)


def _remember(place, bundle, facts, now, switched, seen):
    """What later looks at drift compare with; ``switched``: when the application's files changed, 0 for not at all.

    ``now``: the application's properties. ``seen``: what the generation before remembers; its rules are often the same.
    """
    tables, profiles = drift_tables.remember(bundle, seen), apparmor.remember(bundle)
    fields = {"tables": tables, "profiles": profiles, "unread": []}
    if units.running(now):
        fields["unread"] = drift.unread(bundle, {bundle.unit: now})
    if switched:
        fields.update(switched=switched, boot_id=store.boot_id())
    drift.remember(place, bundle.digest, facts, **fields)


def _smoke_test(bundle, planned):
    """The application's properties; only a running one can be asked, one that was stopped stays stopped."""
    began = time.monotonic()
    wanted = sorted(drift.properties(bundle)[bundle.unit])
    before = units.show([bundle.unit], wanted)[bundle.unit]
    if not units.running(before):
        if bundle.unit in planned.restart:
            raise HostError(
                "%s does not run after its restart: %s" % (bundle.unit, units.explain(bundle.unit))
            )
        return before
    health.check_all(bundle.health)
    if bundle.unit not in planned.restart:
        return before
    after = health.settled(bundle.unit, before, began, wanted)
    wrong = apparmor.wrong_label(bundle, after)
    if wrong:
        raise HostError("%s %s." % (bundle.unit, wrong))
    return after


def _undo(place, fields, problem):
    done = guard.revert(place.policy, fields["nonce"])
    guard.dismiss(place.policy)
    text = getattr(problem, "strerror", None) or str(problem)
    if not done:
        return HostError(
            "%s The way back failed too: see %s." % (text, place.at("receipts.jsonl")),
            state="revert_failed",
            active=place.active(),
        )
    return HostError(
        "%s The host is back on what it had before." % text, state="reverted", active=place.active()
    )


def _answer(place, bundle, planned, state, nonce="", origin=None, diff=None):
    changed = state == "pending" or not plan.empty(planned) or place.active() != bundle.digest
    application = planned.facts.get(bundle.unit, {})
    return {
        "changed": changed,
        "state": state,
        "digest": bundle.digest,
        "from": place.active() if origin is None else origin,
        "nonce": nonce,
        "diff": diffing.of_change(planned.write, [item.path for item in planned.remove])
        if diff is None
        else diff,
        "restarted": planned.restart,
        "reasons": planned.reasons,
        "application": application.get("ActiveState", ""),
        "generation": place.generation(bundle.digest),
        "epoch": place.epoch(),
    }


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
        fence(place, wish)
        if not wish.check:
            close_debug(place, wish)
        pending = place.record("pending")
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
        from . import removal

        return removal.absent(policy, wish)
    # The host itself vouches for what it ran before: the features have no say in going back.
    fingerprint = features.fingerprint(features.collect(bundle.unit, bundles.paths(bundle)))
    return apply(wish._replace(bundle=bundle._replace(fingerprint=fingerprint)))


def _half_back(place):
    """True where the last way back failed half-way: the generation that is named active may not be whole."""
    entries, _fault = receipts.load(place.at("receipts.jsonl"))
    return bool(entries) and entries[-1].get("event") == "REVERT_FAILED"


def _revert_pending(place, pending, wish):
    answer = {
        "changed": True,
        "state": "reverted",
        "from": pending.get("to", ""),
        "digest": pending.get("from", ""),
    }
    if not wish.check:
        place.sign()
        done = guard.revert(place.policy, pending.get("nonce", ""))
        guard.dismiss(place.policy)
        if not done:
            raise HostError(
                "the way back failed: see %s." % place.at("receipts.jsonl"), state="revert_failed"
            )
    return answer


def from_request(request, check):
    """The ``Wish`` in a request of the action plugin."""
    bundle = bundles.parse(request["bundle"]) if request.get("bundle") else None
    return Wish(
        bundle,
        int(request.get("confirm_within", 60)),
        bool(request.get("restart", True)),
        str(request.get("rollout", "")),
        int(request.get("epoch", 0)),
        check,
    )
