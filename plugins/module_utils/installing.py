# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of a policy's generation does, effect by effect (``change.py``), and who owns a unit meanwhile."""

from __future__ import annotations

import time

from . import (
    apparmor,
    drift,
    drift_tables,
    footprint,
    health,
    machine,
    plan,
    store,
    units,
    validators,
)
from .change import begun, no_better
from .errors import HostError
from .forward import Forward


def check_owner(bundle, facts):
    """Refuse a unit that another policy has."""
    plan.check_owner(bundle.policy, bundle.unit, facts["unit"].get("names", ()), installed_bundles())


def installed_bundles():
    """[(policy, Bundle)] of what each policy has installed, is about to install, or may go back to."""
    found = []
    for name in store.policies():
        place = store.Store(name)
        change = place.open_change()
        for digest in sorted(filter(None, {place.active(), change.get("to"), change.get("from")})):
            try:
                bundle = place.load(digest)
            except HostError:  # damaged: its own next run tells, others go on
                continue
            if bundle:
                found.append((name, bundle))
    return found


class Apply(Forward):
    """From the active generation to the one of ``wish``."""

    def __init__(self, place, wish, planned, facts):
        super().__init__(place, begun(place.active(), wish.bundle.digest, wish), wish.confirm_within)
        self.wish, self.planned, self.facts = wish, planned, facts
        self.bundle, self.old = wish.bundle, place.load(place.active())
        self.switched, self.note = 0, ""

    def stage(self):
        self.place.stage(self.bundle)

    def validate(self):
        validators.validate(self.bundle, self.facts["unit"]["fragment"])

    def prepare(self):
        self.place.lay_back(self.fields, self.old, self.bundle, self.planned)

    def record(self, name):
        if name != machine.ARMED:
            return super().record(name)
        # Another policy may have taken the unit while this one was staged: with its record this one has it.
        with footprint.alone():
            check_owner(self.bundle, self.facts)
            return super().record(name)

    def activate(self):
        # From here on the guard counts the new generation as installed and takes all of it back.
        self.place.set_active(self.bundle.digest)

    def switch(self):
        if any(item.kind == "systemd_dropin" for item in self.planned.write + self.planned.remove):
            self.switched = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        plan.switch(self.planned, forgive=self.forgive)

    def forgive(self, problem):
        """Raises ``problem`` unless the application was unwell before it went back: that is then a note for people."""
        if not self.wish.unwell:
            raise problem
        self.note = no_better(self.wish.unwell, problem)

    def test(self):
        now = _smoke_test(self.bundle, self.planned, self.forgive)
        seen = drift.remembered(self.place, self.fields["from"])
        _remember(self.place, self.bundle, self.facts, now, self.switched, seen)


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


def _smoke_test(bundle, planned, forgive):
    """The application's properties; only a running one can be asked, one that was stopped stays stopped."""
    began = time.monotonic()
    wanted = sorted(drift.properties(bundle)[bundle.unit])
    now = units.show([bundle.unit], wanted)[bundle.unit]
    restarted = bundle.unit in planned.restart
    try:
        if units.running(now):
            health.check_all(bundle.health)
        if restarted:
            now = _stayed_up(bundle.unit, now, began, wanted)
    except HostError as problem:
        forgive(problem)
        now = units.show([bundle.unit], wanted)[bundle.unit]
    if restarted and units.running(now):
        wrong = apparmor.wrong_label(bundle, now, apparmor.PATIENCE)
        if wrong:
            raise HostError("%s %s." % (bundle.unit, wrong))
    return now


def _stayed_up(unit, before, began, wanted):
    if not units.running(before):
        raise HostError("%s does not run after its restart: %s" % (unit, units.explain(unit)))
    return health.settled(unit, before, began, wanted)
