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
    active = place.active()
    if active and not os.path.isdir(place.generation(active)):
        found.append("%s names no generation" % place.at("active"))
    for digest in place.generations():
        fault = place.fault(digest)
        if fault:
            found.append(fault)
    return found


def mend(place):
    """Put right what needs nobody's word; sentences about it. The lock is held."""
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
    active = place.active()
    if active and not os.path.isdir(place.generation(active)):
        before = place.record("confirmed").get("to", "")
        if not before or not os.path.isdir(place.generation(before)):
            raise HostError(
                "%s names no generation, and no receipt tells which one it was. Remove the policy from this host "
                "('state: absent') and apply it anew." % place.at("active")
            )
        place.set_active(before)
        told.append("%s was damaged: it names the generation that was confirmed" % place.at("active"))
    return told
