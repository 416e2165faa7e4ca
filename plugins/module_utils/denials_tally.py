# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal denials counted together, so that a loop of a million of them is one entry."""

from __future__ import annotations

import json
import time

from . import denials_numbers as numbers

GROUPS = 1000
SAMPLES = 3


class Tally:
    """``left_out`` counts the denials of kinds beyond ``groups``."""

    def __init__(self, groups=GROUPS):
        self.groups, self.left_out = groups, 0
        self._entries = {}

    def add(self, facts, stamp=None, count=1, **samples):
        """Count one denial. ``samples``: who did it; a few different ones are kept of each."""
        key = json.dumps(facts, sort_keys=True)
        entry = self._entries.get(key)
        if entry is None:
            if len(self._entries) >= self.groups:
                self.left_out += count
                return
            entry = self._entries[key] = {"facts": facts, "count": 0, "stamps": [], "samples": {}}
        entry["count"] += count
        if stamp is not None:
            stamps = entry["stamps"]
            entry["stamps"] = [min(stamps + [stamp]), max(stamps + [stamp])]
        for name, value in samples.items():
            kept = entry["samples"].setdefault(name, [])
            if value and value not in kept and len(kept) < SAMPLES:
                kept.append(value)

    def counted(self, **facts):
        """How many denials have all these facts."""
        return sum(
            entry["count"]
            for entry in self._entries.values()
            if all(entry["facts"].get(name) == value for name, value in facts.items())
        )

    def answer(self):
        """[{facts..., "count", "first", "last", samples...}], the earliest first; times in UTC, null where unknown."""
        rows = []
        for entry in sorted(self._entries.values(), key=lambda one: one["stamps"] or [float("inf")]):
            first, last = [_time(stamp) for stamp in entry["stamps"]] or (None, None)
            rows.append(
                dict(entry["facts"], count=entry["count"], first=first, last=last, **entry["samples"])
            )
        return rows


def _time(stamp):
    """In UTC; None where no calendar has it."""
    whole = int(stamp)
    if not 0 <= whole <= numbers.SECONDS:
        return None
    return "%s.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)), int((stamp - whole) * 1000))
