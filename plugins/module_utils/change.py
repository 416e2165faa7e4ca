# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries out what ``machine`` decides: each effect is a method, "record pending" is ``record("pending")``.

An effect ends on the disk. Killed between two of them, what comes next is decided by the records alone.
"""

from __future__ import annotations

import os

from . import guard, machine, receipts, store

# Seconds for switching, restarting and health checks, before the time to confirm begins.
APPLY_LIMIT = 240


def begun(origin, to, wish):
    """What the record says of a new change from one generation to another."""
    return {
        "from": origin,
        "to": to,
        "nonce": os.urandom(16).hex(),  # as secrets.token_hex, whose import takes 2 ms
        "epoch": wish.epoch,
        "rollout": wish.rollout,
        "lapse": wish.lapse,
    }


def no_better(before, now):
    """For people, of an application that was unwell before it went back and still is."""
    return "it is back and no better for it: before: %s Now: %s" % (before, now)


class Change:
    """One change of one policy; the lock is held. ``fields``: what its record says."""

    def __init__(self, place, fields, within=0):
        self.place, self.fields, self.within = place, fields, within
        self.went_back = False

    def carry_out(self, step):
        for effect in step.effects:
            verb, _space, argument = effect.partition(" ")
            getattr(self, verb)(*([argument] if argument else []))

    def record(self, name):
        if name == "confirmed":
            return self.place.confirm()
        if name == "epoch":
            return self.place.note_epoch(self.fields)
        limit = APPLY_LIMIT if name == machine.ARMED else 0
        self.fields.update(phase=name, boot_id=store.boot_id(), deadline=store.uptime() + self.within + limit)
        return self.place.write_pending(self.fields)

    def receipt(self, event):
        self.place.receipt(event, **receipts.named(self.fields))

    def arm(self):
        guard.arm(self.place.policy)

    def watch(self):
        guard.watch(self.place.policy)

    def revert(self):
        self.went_back = guard.revert(self.place, self.fields.get("nonce", ""))

    def dismiss(self):
        # While files could not be put back the guard stays awake and tries again.
        if self.place.state().phase != machine.REVERTING:
            guard.dismiss(self.place.policy)
