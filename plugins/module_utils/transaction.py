# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""apply: IDLE -> STAGED -> ARMED -> PENDING, then CONFIRMED (``confirmation``) or back to what was before.

What happens next is decided by ``machine``; ``change`` carries it out. Whoever changes a policy's files holds its lock
from the first look to the last write. From ``arm`` on the guard is awake: it reverts when this process dies (a free
lock says so), when its deadline passes, or when the host reboots.
"""

from __future__ import annotations

from collections import namedtuple

from . import (
    bundles,
    diffing,
    drift,
    features,
    files,
    footprint,
    guard_files,
    machine,
    mending,
    overlay_state,
    plan,
    store,
    units,
    validators,
)
from .change import Change, begun
from .errors import HostError
from .installing import Apply, check_owner

# lapse: what becomes of a lease (``confirmation``) that nobody renews, "revert" or "hold". unwell: what is wrong with
# the application before a way back, so that the way back is not to blame for it.
Wish = namedtuple("Wish", "bundle confirm_within restart rollout epoch check lapse unwell", defaults=("",))


def apply(wish, place=None):
    """Bring the host to ``wish.bundle``; the answer is plain data for the module's result.

    ``place``: the policy's state, where the caller holds its lock.
    """
    bundle = wish.bundle
    facts = features.collect(bundle.unit, bundles.paths(bundle))
    if facts["unit"]["load_state"] == "not-found":
        raise HostError("unit %s does not exist on this host." % bundle.unit, state="refused")
    fingerprint = features.fingerprint(facts)
    if fingerprint != bundle.fingerprint:
        return {"changed": False, "state": "stale_features", "features": facts, "fingerprint": fingerprint}
    place = place or store.Store(bundle.policy)
    check_owner(bundle, facts)
    if place.active() != bundle.digest:
        files.check_writable([place.at("lock")] + [item.path for item in bundle.artifacts])
    if wish.check:
        planned = _plan(place, bundle, wish)
        plan.refuse_running_job(planned)
        if planned.write:
            validators.validate(bundle, facts["unit"]["fragment"], check=True)
        return _with_debug(_answer(place, bundle, planned, "unchanged"), place, bundle)
    while True:
        footprint.note_base()
        with footprint.alone():  # the last other policy may just be going
            place.create()
        try:
            return _apply(place, wish, facts)
        except store.Gone:  # a removal that we waited for took the folder away
            continue


def _apply(place, wish, facts):
    with place.lock():
        fresh = place.untouched()
        try:
            return _apply_locked(place, wish, facts)
        except (HostError, OSError):
            # A first change that comes to nothing leaves nothing. What was switched is the guard's to take back.
            if fresh and place.state().phase == machine.IDLE and not place.active() and not place.recorded():
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
    mended = mending.mend(place, wish.bundle)
    closed = close_debug(place, wish)
    answer = _converge(place, wish, facts)
    reasons = (["was %s; closed" % closed] if closed else []) + mended
    if reasons:
        answer.update(changed=True, reasons=reasons + answer["reasons"])
    return answer


def close_debug(place, wish):
    """A sandbox that is open for debugging closes before anything else is decided; the sentence about it, or ""."""
    bundle = wish.bundle or place.active_bundle()  # damaged: whoever opened it has noted the unit himself
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
    step = settle(place, wish, "apply", lambda change: _same(place, bundle, wish, change))
    if step.answer == "adopted":
        return _adopt(place, wish, step)
    restored = _restore_generation(place, bundle, facts)
    planned = _plan(place, bundle, wish)
    if plan.empty(planned) and place.active() == bundle.digest and _confirmed(place):
        answer = _answer(place, bundle, planned, "unchanged")
        renewed = restored or _renew_guard()
        if drift.of_features(bundle, place, facts):
            drift.remember(place, bundle.digest, facts)
            renewed = {"changed": True, "reasons": ["the host's features changed, what they ask for did not"]}
        return {**answer, "service": units.service(bundle.unit), **renewed}
    plan.refuse_running_job(planned)
    if place.active() == bundle.digest and not _confirmed(place):
        planned = planned._replace(reasons=planned.reasons + ["what is installed was never confirmed"])
    return _change(place, bundle, planned, wish, facts, step)


def _confirmed(place):
    """Whether the active generation was ever confirmed. A way back that failed leaves one that never was."""
    return place.record("confirmed").get("to") == place.active()


def settle(place, wish, event, same=None):
    """The step that ``event`` takes. What an earlier run left open goes back first, whatever became of that run.

    ``same``: asked with the open change where it still waits: whether it is what is wished.
    """
    for _attempt in range(3):
        fields = place.open_change()
        state = place.state(fenced=wish.epoch < place.epoch())
        if state.phase in machine.WAITING and same:
            state = state._replace(same=same(fields))
        step = machine.step(state, event)
        if step.answer == "refused":
            fence(place, wish)
        if step.answer != "look again":
            return step
        place.sign()
        take_back(place, fields, wish, step)
    raise HostError(
        "the change before cannot be taken back yet: %s. The guard tries again by itself; see %s."
        % (place.last_receipt().get("detail") or "the way back failed", place.at("receipts.jsonl")),
        state="revert_failed",
        active=place.active(),
    )


def take_back(place, fields, wish, step):
    """Carry out a ``step`` that goes back; True where the host is as it was before."""
    change = Change(place, {**fields, "epoch": max(wish.epoch, fields.get("epoch") or 0)})
    change.carry_out(step)
    return change.went_back


def _same(place, bundle, wish, fields):
    return fields.get("to") == bundle.digest == place.active() and plan.empty(_plan(place, bundle, wish))


def _adopt(place, wish, step):
    """The change of an earlier run is what is wished: it is this run's now, and that one cannot confirm it any more."""
    before, bundle = place.open_change(), wish.bundle
    change = Change(place, begun(before["from"], bundle.digest, wish), wish.confirm_within)
    planned = _plan(place, bundle, wish)
    place.sign()
    if not place.pass_back(change.fields):
        # Nobody knows any more what that run restarted: the application, in doubt.
        place.lay_back(
            change.fields, place.load(before["from"]), bundle, planned._replace(restart=[bundle.unit])
        )
    change.carry_out(step)
    return _answer(place, bundle, planned, "pending", nonce=change.fields["nonce"], origin=before["from"])


def _restore_generation(place, bundle, facts):
    """The active generation is the only way back from the next one: a damaged copy is written again."""
    fault = place.fault(bundle.digest) if place.active() == bundle.digest else ""
    if not fault:
        return {}
    seen = drift.remembered(place, bundle.digest)
    place.stage(bundle)
    drift.remember(place, bundle.digest, facts, **seen)
    return {"changed": True, "reasons": [fault + ": written again"]}


def _renew_guard():
    if guard_files.installed():
        return {}
    guard_files.install()
    return {"changed": True, "reasons": ["the guard was not as this version has it"]}


def _plan(place, bundle, wish):
    active = place.active()
    # A digest names one content: a copy of it on the disk that is damaged has nothing to say.
    old = bundle if active == bundle.digest else place.load(active)
    return plan.make(old, bundle, wish.restart, drift.remembered(place, active))


def fence(place, wish):
    """Refuse a run of a lower epoch: a controller that was thought dead must not act any more."""
    seen = place.epoch()
    if wish.epoch < seen:
        raise HostError(
            "epoch %d is refused: a run with epoch %d has been here. To act by hand after it, give 'epoch: %d'."
            % (wish.epoch, seen, seen),
            state="refused",
        )


def _change(place, bundle, planned, wish, facts, step):
    """Stage, validate, arm, switch, smoke-test. The lock is held. Nothing outlives a failure."""
    old = place.active()
    if old and place.fault(old):
        raise HostError(
            "there would be no way back: %s. Apply the version that is installed once more: that writes it again."
            % place.fault(old)
        )
    diff = diffing.of_change(planned.write, [item.path for item in planned.remove])
    place.sign()
    change = Apply(place, wish, planned, facts)
    change.carry_out(step)
    try:
        # Until the record says that it waits, and a receipt too, nobody knows the nonce: whatever fails, it goes back.
        for phase, event in ((step.phase, "staged"), (machine.ARMED, "healthy")):
            change.carry_out(machine.step(machine.NOTHING._replace(phase=phase), event))
    except (HostError, OSError) as problem:
        if place.state().phase == machine.IDLE:
            raise
        raise undo(change, problem) from None
    answer = _answer(place, bundle, planned, "pending", nonce=change.fields["nonce"], origin=old, diff=diff)
    return {**answer, "note": change.note} if change.note else answer


def undo(change, problem):
    """Go back at once; the HostError that tells why and how it ended."""
    change.carry_out(machine.step(machine.NOTHING._replace(phase=machine.ARMED), "failed"))
    place, text = change.place, str(problem)
    if isinstance(problem, OSError):
        text = "%s: %s." % (problem.filename or "the host could not do it", problem.strerror or problem)
    if not change.went_back:
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
    changed = changed or not _confirmed(place)
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
        str(request.get("lapse", "revert")),
    )
