# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records are new since a cursor, which time they have, and how many have none that can be believed."""

from __future__ import annotations

from . import denials_numbers as numbers

_OUT_OF_ORDER = 100  # records of several processors may be written out of their order


class Stamps:
    """Moves ``position`` along. ``boot``: the boot that runs now."""

    def __init__(self, position, boot):
        self.position, self.boot = position, boot
        # Where this call began: what a source holds up to here was given before.
        self._audit, self._micros = tuple(position.audit), position.micros
        self._highest, self._filed = position.audit[1], 0
        self._booted = numbers.booted() * 1e3
        self._latest = numbers.now() + numbers.AHEAD
        self._unreadable, self._ahead = 0, 0

    def new_line(self, line):
        """Whether no earlier call had this line of the kernel."""
        if not line.micros or line.boot != self.boot:
            return True
        self.position.micros = max(self.position.micros, line.micros)
        return line.micros > self._micros

    def of_this_boot(self, line):
        """auditd's file does not say the boot of a record, so there the time decides."""
        return line.boot == self.boot or (not line.boot and line.audit.milliseconds >= self._booted)

    def new_record(self, line):
        """Whether no earlier call had this audit record. A clock may go back; the serials of one boot do not."""
        record = line.audit
        stamp = (record.milliseconds, record.serial)
        mine = self.of_this_boot(line)
        self._move(line, mine)
        if mine:
            return record.serial > self._audit[1]
        # Of the journal's records of other boots its own cursor decides.
        return bool(line.boot) or stamp > self._audit

    def _move(self, line, mine):
        latest, record = self.position.audit[0], line.audit
        if record.milliseconds <= self._latest * 1e3:
            latest = max(latest, record.milliseconds)
        if mine and line.boot:
            self._highest = max(self._highest, record.serial)
        elif mine:
            # Where the clock went back, records of an earlier boot look like this one's: serials that fall tell them.
            begun = record.serial < self._filed - _OUT_OF_ORDER
            self._filed = record.serial if begun else max(self._filed, record.serial)
        self.position.audit = [latest, max(self._highest, self._filed)]

    def time(self, stamp):
        """The time of a denial; None where it is still to come, as the denial is not wrong by that."""
        if stamp <= self._latest:
            return stamp
        self._ahead += 1
        return None

    def unreadable(self):
        """Count a line that cannot be read."""
        self._unreadable += 1

    def notes(self):
        """What was in the sources and is not among the denials as it stood there."""
        found = (
            (self._unreadable, "%d records were left out: a number in them is none that the kernel writes"),
            (self._ahead, "%d records have a time that is still to come: they are counted without it"),
        )
        return [text % count for count, text in found if count]
