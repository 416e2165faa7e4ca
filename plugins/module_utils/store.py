# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one policy on this host, in files that Python and a POSIX shell can both read.

    /var/lib/bulkhead/<policy>/
        lock                      flock(2); whoever changes anything holds it
        active                    digest of the generation whose files are installed
        pending.json              see records.py; there while a change is not confirmed
        reverting.json            the same, renamed: from then on nobody can confirm it
        back                      the way back of this change, in lines for the guard; see way_back.py
        active.new, restarted     for that way: what ``active`` will be, and whether applications have restarted
        confirmed.json            the pending.json of the last confirmed change: a rename is the confirmation
        reverted.json             the same of the last change that went back; also revert_failed.json, abandoned.json
        receipts.jsonl            see receipts.py
        generations/<digest>/     bundle.json, manifest, files/<number>, sums of these

A line of ``manifest``: sha256 mode owner group number path.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from contextlib import contextmanager

from . import bundles, files, machine, receipts, records, way_back
from .errors import HostError
from .generations import Generations, sealed, unsealed

BASE = "/var/lib/bulkhead"
UNREADABLE = "unreadable"  # names no generation
RECORDS = ("pending", "reverting") + receipts.FINAL
# What the record of an open change has, and of which kind: where that is not so it counts as torn.
CHANGE_TEXTS = ("boot_id", "from", "lapse", "nonce", "phase", "to")
CHANGE_NUMBERS = ("deadline", "epoch")


def boot_id():
    return files.read_text("/proc/sys/kernel/random/boot_id").strip()


def uptime():
    """Whole seconds of CLOCK_BOOTTIME: no jump of the clock moves a deadline. The guard reads the same file."""
    with open("/proc/uptime") as stream:
        return int(float(stream.read().split()[0]))


def policies():
    """Names of the policies that have state here, sorted; what others keep beside them is none."""
    try:
        return sorted(name for name in os.listdir(BASE) if bundles.is_name(name) and _is_state(Store(name)))
    except FileNotFoundError:
        return []


def _is_state(place):
    """Whether the folder is what we made for that name: not a link, not somebody's copy of another policy's."""
    marks = ("generations", "active", "receipts.jsonl")
    if os.path.islink(place.path) or not any(os.path.lexists(place.at(name)) for name in marks):
        return False
    for digest in place.generations():
        try:
            return (
                json.loads(files.read_text(place.at("generations", digest, "bundle.json")))["policy"]
                == place.policy
            )
        except (ValueError, TypeError, KeyError):  # damaged: another one may tell
            continue
    return True


def number(value):
    """A whole number out of what a record, a receipt or the way back says; 0 for anything else."""
    return int(value) if str(value).isascii() and str(value).isdigit() else 0


class Gone(HostError):
    """The policy has no state here any more: it was removed while we waited for its lock."""


class Store(Generations):
    """Paths and records of one policy. Nothing is created before ``create``."""

    def __init__(self, policy):
        self.policy = bundles.check_name(policy)
        self.path = os.path.join(BASE, policy)
        self._lock = None

    def at(self, *parts):
        return os.path.join(self.path, *parts)

    def exists(self):
        return os.path.isdir(self.path)

    def vanish(self):
        """Take the whole state away. Who waits for its lock finds either all of it or nothing."""
        gone = os.path.join(BASE, ".%s.gone" % self.policy)
        shutil.rmtree(gone, ignore_errors=True)
        if os.path.isdir(self.path):
            os.rename(self.path, gone)
            files.sync_directory(BASE)
        shutil.rmtree(gone)
        files.sync_directory(BASE)

    def create(self):
        for path in (BASE, self.path, self.at("generations")):
            if not os.path.isdir(path):
                os.mkdir(path, 0o700)
                files.sync_directory(os.path.dirname(path))

    def recorded(self):
        """Whether any record or receipt is there, whole or torn."""
        names = [name + ".json" for name in RECORDS] + ["receipts.jsonl"]
        return any(os.path.lexists(self.at(name)) for name in names)

    def untouched(self):
        """Whether no change of this policy ever began here, as far as anything that is left can tell."""
        return not (self.recorded() or os.path.lexists(self.at("active")) or self.generations())

    @contextmanager
    def lock(self, wait=60.0):
        """Hold the policy's lock, which whoever holds it may take once more. It never makes the policy's folder.

        HostError after ``wait`` seconds: somebody else is changing this policy. ``Gone`` where he has removed it.
        """
        if self._lock is not None:
            yield
            return
        deadline, descriptor = time.monotonic() + wait, None
        while descriptor is None:
            try:
                descriptor = files.locked(self.at("lock"), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FileNotFoundError:
                raise Gone("policy %s was removed from this host meanwhile." % self.policy) from None
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise HostError("another run holds the lock of policy %s." % self.policy) from None
                time.sleep(0.1)
        self._lock = descriptor
        try:
            yield
        finally:
            self._lock = None
            os.close(descriptor)

    def lock_descriptors(self):
        """The lock, for a program that works on while it is held."""
        return () if self._lock is None else (self._lock,)

    def sign(self):
        """Write into the lock whose it is, so that the guard can end a holder that hangs past the deadline.

        Only before a change: where nothing changes not even this file gets a new time.
        """
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)

    # --- records ---

    def active(self):
        """Digest of the generation that is installed, "" for none, ``UNREADABLE`` where the file says neither."""
        text = files.read_text(self.at("active")).removesuffix("\n")
        return text if not text or bundles.DIGEST.fullmatch(text) else UNREADABLE

    def set_active(self, digest):
        if digest:
            files.write(self.at("active"), digest.encode() + b"\n")
        else:
            files.remove(self.at("active"))

    def epoch(self):
        """The highest epoch that changed something here. A record that is torn or lost left it in the receipts."""
        found = [self.record(name) for name in RECORDS] + [self.way_back() if self.open_change() else {}]
        found += receipts.load(self.at("receipts.jsonl"))[0]
        return max(number(fields.get("epoch")) for fields in found)

    def record(self, name):
        """One of ``RECORDS`` as a dict; {} where there is none or it is torn."""
        return records.read(self.at(name + ".json")) or {}

    def write_pending(self, fields):
        records.write(self.at("pending.json"), fields)

    def note_epoch(self, fields):
        """Whoever takes a change back leaves his epoch in it, so that nobody older can act after him."""
        noted = [name for name in ("pending", "reverting") if self.record(name)]
        for name in noted:
            records.write(self.at(name + ".json"), fields)
        if not noted:  # torn: it has no place for an epoch
            self.receipt("RETURNING", **receipts.named(fields))

    def open_change(self):
        """The fields of the change that is under way; what a torn record has lost stands in the way back."""
        for name in ("reverting", "pending"):
            if os.path.exists(self.at(name + ".json")):
                return self._change(name)[1]
        return {}

    def _change(self, name):
        """(phase, fields) of what ``pending`` or ``reverting`` says; the same is torn here and for the guard."""
        fields = self.record(name)
        whole = all(isinstance(fields.get(key), str) for key in CHANGE_TEXTS)
        whole = whole and all(isinstance(fields.get(key), int) for key in CHANGE_NUMBERS)
        if whole and fields["phase"] in machine.OPEN and fields["phase"] != machine.TORN:
            return fields["phase"], fields
        return machine.TORN, {"phase": machine.TORN, **self.way_back()}

    def state(self, nonce=None, **known):
        """What the records say now, as ``machine.State``. ``nonce``: the asker's; None for whoever is there."""
        last = self._last(nonce)
        if os.path.exists(self.at("reverting.json")):
            phase, pending = machine.REVERTING, self.open_change()
        elif records.read(self.at("pending.json")) == {}:
            return machine.NOTHING._replace(last=last, **known)
        else:
            phase, pending = self._change("pending")
        origin = pending.get("from", "")
        return machine.State(
            phase=phase,
            ours=nonce is None or nonce == pending.get("nonce"),
            in_time=pending.get("boot_id") == boot_id() and pending.get("deadline", 0) > uptime(),
            switched=origin == pending.get("to") or self.active() != origin,
            whole=True,  # the guard looks itself
            held=False,
            fenced=False,
            same=False,
            lease=False,
            hold=pending.get("lapse") == "hold",
            last=last,
        )._replace(**known)

    def _last(self, nonce):
        names = [name for name in receipts.FINAL if nonce and self.record(name).get("nonce") == nonce]
        return ("confirmed" if "confirmed" in names else "reverted") if names else ""

    def confirm(self):
        """The one step that makes a change final: after this rename nothing reverts it."""
        os.replace(self.at("pending.json"), self.at("confirmed.json"))
        files.sync_directory(self.path)

    def lay_back(self, fields, old, new, planned):
        """Write down how the guard gets from ``new`` to ``old`` (Bundles or None), before anything is changed.

        ``active.new`` is there as well, so that at the end it has only to rename: the disk may be full by then.
        """
        files.remove(self.at("restarted"))
        files.write(self.at("active.new"), fields["from"].encode() + b"\n")
        files.write(self.at("back"), sealed(way_back.text(fields, old, new, planned)).encode())

    def pass_back(self, fields):
        """The way back of the change that is adopted is that of ``fields`` now; False where it is torn."""
        before = unsealed(files.read(self.at("back")))
        if before:
            files.write(self.at("back"), sealed(way_back.passed_on(before, fields)).encode())
        return bool(before)

    def way_back(self):
        """nonce, epoch, from and to of the way back; {} where it is torn."""
        found = way_back.names(unsealed(files.read(self.at("back"))) or "")
        return {**found, "epoch": number(found.get("epoch"))} if found else {}

    def receipt(self, event, **fields):
        receipts.append(self.at("receipts.jsonl"), event, boot_id=boot_id(), **fields)

    def last_receipt(self):
        """The fields of the last receipt that can be read, {} without one."""
        return (receipts.load(self.at("receipts.jsonl"))[0] or [{}])[-1]

    def lost_receipts(self):
        """[(event, fields)] of final records that no receipt tells of; see ``receipts.missing``."""
        entries, _fault = receipts.load(self.at("receipts.jsonl"))
        kept = {name: self.record(name) for name in receipts.FINAL}
        return [(name.upper(), kept[name]) for name in receipts.missing(entries, kept)]
