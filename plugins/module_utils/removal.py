# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""state: absent. The application runs as its vendor made it; no file, unit, table or slice of ours is left."""

from __future__ import annotations

import os
import time
from collections import namedtuple

from . import (
    apparmor,
    diffing,
    files,
    footprint,
    guard,
    guard_files,
    health,
    installing,
    machine,
    plan,
    store,
    transaction,
    units,
)
from .change import begun, no_better
from .command import run
from .errors import HostError
from .forward import Forward

# The manager's own parent of all policies' slices; systemd makes it by itself and would keep it.
PARENT_SLICE = "bulkhead.slice"

Everything = namedtuple("Everything", "unit artifacts units health")


def absent(policy, wish, place=None):
    """Remove the policy from this host. Done twice, the second time changes nothing. ``place``: its lock is held."""
    try:
        return _absent(place or store.Store(policy), wish)
    except store.Gone:  # another run removed it while this one waited
        return _absent(store.Store(policy), wish)


def _absent(place, wish):
    if not place.exists():
        changed = _clear_remains(wish.check)
        return {"changed": changed, "state": "absent", "digest": "", "from": "", "diff": [], "restarted": []}
    if wish.check:
        return _answer(place, _plan(place, wish))
    with place.lock():
        transaction.fence(place, wish)
        planned = _plan(place, wish)
        if planned and not wish.restart:
            _refuse_to_let_go(*planned)
        place.sign()
        transaction.close_debug(place, wish)
        planned, step = _settled(place, wish, planned)
        answer = _answer(place, planned)
        removal = Removal(place, wish, planned)
        try:
            removal.carry_out(step)
        except (HostError, OSError) as problem:
            if place.state().phase == machine.IDLE:
                raise
            raise transaction.undo(removal, problem) from None
    if removal.faults:
        raise HostError("The sandbox is gone, but %s" % " ".join(removal.faults), **answer)
    return {**answer, "note": removal.note} if removal.note else answer


def _settled(place, wish, planned):
    """(plan, step). A change that cannot be taken back is no reason to stay: then all of both generations goes."""
    try:
        step = transaction.settle(place, wish, "remove")
    except HostError as problem:
        if problem.state == "refused":
            raise
        return planned, machine.Step(machine.IDLE, ("withdraw", "forget"), "absent")
    planned = _plan(place, wish)
    if planned is None or not place.active() or place.fault(place.active()):
        return planned, machine.Step(machine.IDLE, ("withdraw", "forget"), "absent")
    return planned, step


class Removal(Forward):
    """From the active generation to none. Until its files are gone the guard would put all of them back."""

    def __init__(self, place, wish, planned):
        super().__init__(place, begun(place.active(), "", wish))
        self.planned, self.wish = planned, wish
        self.faults, self.note = [], ""

    def prepare(self):
        self.place.lay_back(self.fields, self.place.load(self.fields["from"]), None, self.planned[0])

    def deactivate(self):
        self.place.set_active("")

    def withdraw(self):
        sick, self.faults = _withdraw(self.place, self.planned)
        if sick and self.wish.unwell:
            self.note = no_better(self.wish.unwell, " ".join(sick))
        else:
            self.faults = sick + self.faults

    def forget(self):
        """Final from the first line on; what is cut off after it the next removal, of any policy, clears away."""
        files.remove(self.place.at("pending.json"))
        guard.dismiss(self.place.policy)
        with footprint.alone():
            self.place.vanish()
            _tidy()


def _refuse_to_let_go(switch, everything):
    """Without a restart, what runs in a slice of ours would stop with it, under a profile of ours run on unconfined."""
    facts = switch.facts[everything.unit]
    if plan.misplaced(facts, removing=True):
        what = "runs in a slice"
    elif apparmor.confines(everything.artifacts, facts):
        what = "runs under an AppArmor profile"
    else:
        return
    raise HostError(
        "%s %s that goes with the sandbox: stop it first, or allow the restart." % (everything.unit, what),
        state="refused",
    )


def forget(place):
    """Take back the state of a first change that failed before anything was installed."""
    with footprint.alone():
        place.vanish()
        _tidy()


def _clear_remains(check):
    """What a removal that was cut off at its very end left; True where there was any."""
    if not os.path.isdir(store.BASE):
        if not check:
            footprint.settle()
        return False
    if store.policies() or not footprint.remains():
        return False
    if not check:
        with footprint.alone():
            _tidy()
    return True


def _plan(place, wish):
    """Everything that any generation of this policy may have left, so that a half-done change is cleared as well."""
    change = place.open_change()
    digests = {place.active(), change.get("to"), change.get("from")}
    bundles = _whole(place, sorted(filter(None, digests))) or _whole(place, place.generations())
    if not bundles:
        return None
    main = next((bundle for bundle in bundles if bundle.digest == place.active()), bundles[0])
    artifacts = {item.path: item for bundle in bundles for item in bundle.artifacts}
    own = sorted({name for bundle in bundles for name in bundle.units})
    everything = Everything(main.unit, list(artifacts.values()), own, main.health)
    return plan.make(everything, None, wish.restart), everything


def _whole(place, digests):
    """Bundles of those generations that can be read: a damaged one must not keep a host from letting go."""
    found = []
    for digest in digests:
        try:
            found.append(place.load(digest))
        except HostError:
            continue
    return [bundle for bundle in found if bundle]


def _answer(place, planned):
    switch = planned[0] if planned else None
    return {
        "changed": True,
        "state": "absent",
        "digest": "",
        "from": place.active(),
        "diff": diffing.of_change([], [item.path for item in switch.remove]) if switch else [],
        "restarted": list(switch.restart) if switch else [],
    }


def _withdraw(place, planned):
    """Carry the removal out as far as it goes. ([what is wrong with the application], [what else]) is for people and
    stops nothing."""
    if planned is None:
        return [], []
    switch, everything = planned
    faults = []
    try:
        plan.switch(switch)
    except HostError as problem:
        faults.append(str(problem))
        # The application is the only step that may fail for reasons of its own: go on without it.
        plan.switch(switch._replace(restart=[], remove=[i for i in switch.remove if os.path.lexists(i.path)]))
    kept = apparmor.forget(everything.artifacts)
    for family, name in sorted({table for found in plan.tables(everything).values() for table in found}):
        run(["nft", "delete", "table", family, name])  # gone already where the unit's ExecStop did it
    run(["systemctl", "reset-failed", "--"] + switch.stop + [guard.unit_name(place.policy)])
    if everything.unit in switch.restart and not faults:
        began = time.monotonic()
        try:
            before = units.show([everything.unit])[everything.unit]
            health.check_all(everything.health)
            health.settled(everything.unit, before, began)
        except HostError as problem:
            faults.append(str(problem))
    return faults, kept


def _tidy():
    """Directories that we made go with their last file; with the last policy everything else of ours goes too."""
    if store.policies():
        others = [item.path for _name, bundle in installing.installed_bundles() for item in bundle.artifacts]
        footprint.withdraw(others + guard_files.paths())
        return
    if guard_files.uninstall():
        units.reload_manager()
    run(["systemctl", "stop", "--", PARENT_SLICE])
    footprint.withdraw([])
    footprint.withdraw_base()
