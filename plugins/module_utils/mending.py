# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a damaged disk or a kill between two steps left in a policy's state: found by name, put right where it can be.

A torn pending change is no matter of this file: it goes back (``machine``).
"""

from __future__ import annotations

import os

from . import receipts, records
from .errors import HostError


def damage(place):
    """[what is not to the byte what was written], the first bad file or line of each kind by name. Changes nothing."""
    found = [
        "%s is torn" % place.at(name + ".json")
        for name in ("pending", "reverting") + receipts.FINAL
        if records.read(place.at(name + ".json")) is None
    ]
    if os.path.exists(place.at("back")) and not place.way_back():
        found.append("%s is torn" % place.at("back"))
    _entries, fault = receipts.load(place.at("receipts.jsonl"))
    if fault:
        found.append("%s: %s" % (place.at("receipts.jsonl"), fault))
    lost = [event for event, _fields in place.lost_receipts()]
    if lost:
        found.append("%s: the last %s is missing" % (place.at("receipts.jsonl"), lost[0]))
    if misnamed(place):
        found.append("%s %s" % (place.at("active"), "names no generation" if place.active() else "is lost"))
    for digest in place.generations():
        fault = place.fault(digest)
        if fault:
            found.append(fault)
    return found


def misnamed(place):
    """Whether ``active`` names no generation that is there, or is lost while one is confirmed."""
    active = place.active()
    if active:
        return not os.path.isdir(place.generation(active))
    return bool(place.record("confirmed").get("to")) and not place.open_change()


def mend(place, bundle=None):
    """Put right what needs nobody's word; sentences about it. The lock is held.

    ``bundle``: what is to be installed next. Where that is the generation that is lost, it is written anew.
    """
    told = []
    entries, _fault = receipts.load(place.at("receipts.jsonl"))
    for name in receipts.FINAL:
        path = place.at(name + ".json")
        if records.read(path) is None:
            last = [entry for entry in entries if entry.get("event") == name.upper()][-1:]
            records.write(path, {"phase": "", **receipts.named(last[0])} if last else {})
            told.append("%s was torn: written again from the receipts" % path)
    for event, fields in place.lost_receipts():
        place.receipt(event, detail="written again from its record", **receipts.named(fields))
        told.append("the receipt of %s was lost: written again" % event)
    return told + _mend_active(place, bundle)


def _mend_active(place, bundle):
    if not misnamed(place):
        return []
    active, path = place.active(), place.at("active")
    digest = active if bundle and active == bundle.digest else place.record("confirmed").get("to", "")
    if not digest:
        raise HostError(
            "%s names no generation, and no receipt tells which one it was. Remove the policy from this host "
            "('state: absent') and apply it anew." % path
        )
    told = []
    if not os.path.isdir(place.generation(digest)):
        if not bundle or bundle.digest != digest:
            raise HostError(
                "%s names no generation: %s, which was confirmed, is not there any more. Apply that version once more, "
                "or remove the policy from this host ('state: absent')." % (path, digest[:12])
            )
        place.stage(bundle)
        told.append("the generation %s was lost: written again" % digest[:12])
    if digest != active:
        place.set_active(digest)
        told.append(
            "%s was %s: it names the generation that was confirmed" % (path, "damaged" if active else "lost")
        )
    return told
