# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a host denied to a policy's unit since a cursor. Changes nothing; bounded in time and memory."""

from __future__ import annotations

import os

from . import (
    denials_apparmor,
    denials_audit,
    denials_cgroup,
    denials_cursor,
    denials_nftables,
    denials_numbers,
    denials_owner,
    denials_seccomp,
    denials_sources,
    denials_stamps,
    denials_tally,
    denials_unrecorded,
    files,
    plan,
    store,
)
from .errors import HostError
from .readback_facts import Facts

LIMITS = (1, 100000)
_EVENTS = (("memory.killed", "memory"), ("tasks.refused", "processes"))
_PROPERTIES = {"InvocationID", "Slice", "SystemCallFilter", "SystemCallLog"} | denials_owner.PROPERTIES


def read(policy, cursor="", limit=5000):
    """The answer of the module. HostError where the policy is not applied here or the cursor is none."""
    low, high = LIMITS
    if not low <= limit <= high:
        raise HostError("limit is %d: give %d to %d lines." % (limit, low, high))
    place = store.Store(policy)
    bundle = place.load(place.active())
    if bundle is None:
        raise HostError(
            "policy %s is not applied on this host. Where enforcing it does not work yet, roll it out in audit mode "
            "(mode: audit): nothing is blocked, and what enforcing would deny is told here." % policy
        )
    boot = store.boot_id().replace("-", "")
    position, notes = denials_cursor.read(cursor, policy, files.read_text("/etc/machine-id").strip(), boot)
    reading = _Reading(bundle, position, boot, limit, notes)
    reading.lines()
    reading.notes += reading.stamps.notes()
    if reading.whole:
        reading.counters()
    else:
        reading.told()
    return {
        "changed": False,
        "policy": policy,
        "unit": bundle.unit,
        "mode": bundle.mode,
        "active": bundle.digest,
        "policy_digest": bundle.data.get("policy_digest", ""),
        "denials": reading.tally.answer(),
        "cursor": reading.position.text(),
        "since": "cursor" if cursor else "beginning",
        "truncated": not reading.whole or bool(reading.tally.left_out),
        "left_out": reading.tally.left_out,
        "sources": reading.sources,
        "notes": reading.notes,
        "unrecorded": denials_unrecorded.unrecorded(
            bundle.data.get("verdicts", []), denials_unrecorded.seccomp_recorded(), os.uname().release
        ),
        "calls": calls(*(reading.facts.show(bundle.unit, "SystemCall" + name) for name in ("Filter", "Log"))),
        "links": links(bundle.data.get("probes", [])),
    }


def links(probes):
    """{path as the policy has it: as the kernel's records have it} of the probes' paths that are links here."""
    paths = {probe["target"] for probe in probes if probe["action"] in ("read", "write", "execute")}
    real = {path: os.path.realpath(path) for path in paths if path.startswith("/")}
    return {path: place for path, place in sorted(real.items()) if place != path}


def calls(shown, logged=None):
    """Names of the system calls that the unit's filter lets through; None where it has no such list.

    In audit mode it has a list of those that are not logged (``logged``) in its place.
    """
    if logged and logged.startswith("~") and len(logged) > 1:
        return sorted(logged[1:].split())
    return sorted(shown.split()) if shown and not shown.startswith("~") else None


class _Reading:
    """One call: goes through the sources once, moves the position along, and counts what is the policy's."""

    def __init__(self, bundle, position, boot, limit, notes):
        self.bundle, self.position, self.boot, self.limit, self.notes = bundle, position, boot, limit, notes
        self.tally = denials_tally.Tally()
        self.sources, self.whole = [], True
        self.facts = Facts()
        self.facts.load({bundle.unit: _PROPERTIES})
        names = [name for tables in plan.tables(bundle).values() for _family, name in tables]
        self.packets, self.prefixes = (denials_nftables.table(names[0]) if names else None) or ({}, {})
        self.has_table = bool(names)
        self.owner = denials_owner.of(bundle, self.facts)
        show = [self.facts.show(bundle.unit, name) for name in ("ControlGroup", "Slice")]
        self.group = denials_cgroup.group_of(bundle.unit, *show)
        self.container = os.path.exists("/run/systemd/container")
        self._known = set()
        self.stamps = denials_stamps.Stamps(position, boot)
        self._killed = []

    # --- lines ---

    def lines(self):
        journal = denials_sources.Journal(self.bundle.unit, self.position.journal, self.limit)
        for line in journal:
            self._take(line)
        if journal.state.startswith("failed") and self.position.journal:
            raise HostError("the journal does not take the cursor (%s)." % journal.state.partition(": ")[2])
        self.position.journal = journal.cursor
        self.sources.append({"source": "journal", "state": journal.state})
        self.whole = journal.whole
        if not self.whole:
            # The rest of the journal comes with the next call; what the others hold beyond it must not come before.
            self.notes.append("more lines than 'limit' or a minute could read: call again with the cursor")
            return
        logs = denials_sources.audit_files()
        self.sources.append({"source": "audit.log", "state": "read" if logs else "absent"})
        for path, size in logs:
            if size > denials_sources.AUDIT_BYTES:
                self.notes.append(
                    "%s is larger than what is read of it: its oldest records were left out" % path
                )
            for line in denials_sources.audit_lines(path, size):
                self._take(line)
        ring = denials_sources.ring(self.boot)
        self.sources.append({"source": "kernel ring", "state": "absent" if ring is None else "read"})
        for line in ring or ():
            self._take(line)

    def _take(self, line):
        if line.audit is not None:
            self._audit(line)
            return
        if line.text == denials_sources.OOM:
            self._killed.append(line.stamp)
            return
        if not self.stamps.new_line(line):
            return
        if line.text is None:
            if not line.micros or not self._seen(line.boot, line.micros):
                self.stamps.unreadable()
            return
        self._kernel(line)

    def _audit(self, line):
        if not self.stamps.new_record(line):
            return
        record = line.audit
        # One call can have two records of one stamp, so the content counts as well.
        key = (record.milliseconds, record.serial, tuple(sorted(record.fields.items())))
        try:
            facts = self._facts(line)
        except denials_numbers.Unreadable:
            if not self._seen(*key):
                self.stamps.unreadable()
            return
        if facts is None or self._seen(*key):
            return
        self.tally.add(
            facts,
            self.stamps.time(record.milliseconds / 1e3),
            programs=denials_audit.printable(record.fields.get("exe", ""), 300),
            commands=denials_audit.printable(record.fields.get("comm", ""), 40),
        )

    def _facts(self, line):
        record = line.audit
        if record.kind == denials_audit.APPARMOR:
            return denials_apparmor.denial(self.bundle.policy, record, self.bundle.mode)
        return denials_seccomp.denial(record, self.owner, self.stamps.of_this_boot(line))

    def _seen(self, *key):
        """Whether another source had this line in the same call."""
        known = key in self._known
        self._known.add(key)
        return known

    def _kernel(self, line):
        refused = denials_nftables.denial(self.bundle.policy, line.text, self.prefixes)
        if refused is not None:
            facts, peer = refused
            if not self._seen(line.boot, line.micros, line.text):
                self.tally.add(self._enforced(facts), self.stamps.time(line.stamp), peers=peer)
            return
        facts = denials_cgroup.denial(line.text, self.group, self.container)
        if facts is not None and not self._seen(line.boot, line.micros, line.text):
            self.tally.add(facts, self.stamps.time(line.stamp))

    def _enforced(self, facts):
        return dict(facts, enforced=self.bundle.mode == "enforce")

    # --- counters ---

    def told(self):
        """More lines are to come: what the counters have of those that this call gave is not to be given again."""
        for label, count in self.packets.items():
            given = self.tally.counted(mechanism="nftables", label=label)
            self.position.packets[label] = min(count, self.position.packets.get(label, 0) + given)
        events, before = self._events()
        for name, act in _EVENTS:
            given = self.tally.counted(mechanism="cgroup", act=act)
            before[name] = min(events.get(name, 0), before.get(name, 0) + given)
        self.position.events = before

    def _events(self):
        """Counters of the unit's control group now, and before; they belong to one start of the unit."""
        group = self.facts.show(self.bundle.unit, "ControlGroup") or ""
        invocation = self.facts.show(self.bundle.unit, "InvocationID") or ""
        before = dict(self.position.events) if self.position.invocation == invocation else {}
        self.position.invocation = invocation
        return denials_cgroup.counters(group), before

    def counters(self):
        """What the rate-limited lines did not tell, and events that leave one line or none."""
        for label, count in denials_cursor.grown(self.packets, self.position.packets).items():
            rest = count - self.tally.counted(mechanism="nftables", label=label)
            if rest > 0:
                facts = {
                    "mechanism": "nftables",
                    "act": "packet",
                    "label": label,
                    "protocol": "",
                    "port": None,
                }
                self.tally.add(self._enforced(dict(facts, attribution="slice")), count=rest)
        self.position.packets = self.packets
        if self.has_table and not self.packets:
            self.notes.append("the policy's nftables table is gone: nothing is refused or counted")
        events, before = self._events()
        grown = denials_cursor.grown(events, before)
        told = {"memory.killed": len(self._killed)}
        for name, act in _EVENTS:
            rest = max(grown.get(name, 0), told.get(name, 0)) - self.tally.counted(
                mechanism="cgroup", act=act
            )
            if rest > 0:
                self.tally.add(
                    {"mechanism": "cgroup", "act": act, "enforced": True, "attribution": "control_group"},
                    count=rest,
                )
        if grown.get("memory.reached") and not grown.get("memory.killed"):
            self.notes.append(
                "the memory limit was reached %d times and the kernel made room: nothing was killed"
                % grown["memory.reached"]
            )
        self.position.events = events
