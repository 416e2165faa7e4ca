# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of one policy on this host, in files that Python and a POSIX shell can both read.

    /var/lib/bulkhead/<policy>/
        lock                      flock(2); whoever changes anything holds it
        epoch                     the highest epoch seen
        active                    digest of the generation whose files are installed
        pending.json              one key a line; there while a change is not confirmed
        confirmed.json            the pending.json of the last confirmed change: a rename is the confirmation
        reverted.json             the pending.json of the last reverted change
        receipts.jsonl            see receipts.py
        generations/<digest>/     bundle.json, manifest, unit, start, reload, files/<number>

A line of ``manifest``: sha256 mode owner group kind number path.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from contextlib import contextmanager

from . import bundles, files, receipts
from .errors import HostError

BASE = "/var/lib/bulkhead"
KEEP = 3


def boot_id():
    return files.read_text("/proc/sys/kernel/random/boot_id").strip()


def uptime():
    """Whole seconds of CLOCK_BOOTTIME: no jump of the clock moves a deadline. The guard reads the same file."""
    with open("/proc/uptime") as stream:
        return int(float(stream.read().split()[0]))


def policies():
    """Names of the policies that have state here, sorted."""
    try:
        return sorted(name for name in os.listdir(BASE) if os.path.isdir(os.path.join(BASE, name)))
    except FileNotFoundError:
        return []


class Store:
    """Paths and records of one policy. Nothing is created before ``create``."""

    def __init__(self, policy):
        self.policy = bundles.check_name(policy)
        self.path = os.path.join(BASE, policy)
        self._lock = None

    def at(self, *parts):
        return os.path.join(self.path, *parts)

    def exists(self):
        return os.path.isdir(self.path)

    def create(self):
        for path in (BASE, self.path, self.at("generations")):
            if not os.path.isdir(path):
                os.mkdir(path, 0o700)
                files.sync_directory(os.path.dirname(path))

    @contextmanager
    def lock(self, wait=60.0):
        """Hold the policy's lock. HostError after ``wait`` seconds: somebody else is changing this policy."""
        deadline = time.monotonic() + wait
        while True:
            descriptor = os.open(self.at("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(descriptor)
                if time.monotonic() > deadline:
                    raise HostError("another run holds the lock of policy %s." % self.policy) from None
                time.sleep(0.1)
                continue
            try:
                # A removal may have unlinked the file while we waited: then this is a lock on nothing.
                if os.fstat(descriptor).st_ino == os.stat(self.at("lock")).st_ino:
                    break
            except FileNotFoundError:
                pass
            os.close(descriptor)
            self.create()
        self._lock = descriptor
        try:
            yield
        finally:
            self._lock = None
            os.close(descriptor)

    def sign(self):
        """Write into the lock whose it is, so that the guard can end a holder that hangs past the deadline.

        Only before a change: where nothing changes not even this file gets a new time.
        """
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)

    # --- records ---

    def active(self):
        return files.read_text(self.at("active")).strip()

    def set_active(self, digest):
        if digest:
            files.write(self.at("active"), digest.encode() + b"\n")
        else:
            files.remove(self.at("active"))

    def epoch(self):
        text = files.read_text(self.at("epoch")).strip()
        return int(text) if text.isdigit() else 0

    def record(self, name):
        """``pending``, ``confirmed`` or ``reverted`` as a dict; {} where there is none or it is torn."""
        try:
            data = json.loads(files.read_text(self.at(name + ".json")) or "{}")
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}

    def write_pending(self, fields):
        text = json.dumps(fields, indent=1, sort_keys=True) + "\n"
        files.write(self.at("pending.json"), text.encode())

    def confirm(self):
        """The one step that makes a change final: after this rename nothing reverts it."""
        os.replace(self.at("pending.json"), self.at("confirmed.json"))
        files.sync_directory(self.path)

    def receipt(self, event, **fields):
        receipts.append(self.at("receipts.jsonl"), event, boot_id=boot_id(), **fields)

    # --- generations ---

    def generation(self, digest):
        return self.at("generations", digest)

    def stage(self, bundle):
        """Write the generation of ``bundle`` beside the others, whole or not at all, and return its directory."""
        final = self.generation(bundle.digest)
        if self.fault(bundle.digest) == "":
            return final
        shutil.rmtree(final, ignore_errors=True)
        staged = final + ".new"
        shutil.rmtree(staged, ignore_errors=True)
        try:
            os.mkdir(staged, 0o700)
            os.mkdir(os.path.join(staged, "files"), 0o700)
            lines = []
            for number, item in enumerate(bundle.artifacts):
                files.write(os.path.join(staged, "files", str(number)), item.content)
                lines.append(
                    "%s %04o %s %s %s %d %s\n"
                    % (
                        files.sha256(item.content),
                        item.mode,
                        item.owner,
                        item.group,
                        item.kind,
                        number,
                        item.path,
                    )
                )
            texts = {
                "bundle.json": json.dumps(bundle.data, sort_keys=True),
                "unit": bundle.unit + "\n",
                "start": "".join(name + "\n" for name in bundle.units if not name.endswith(".service")),
                "reload": "".join(name + "\n" for name in bundle.units if name.endswith(".service")),
                "manifest": "".join(lines),
            }
            for name, text in texts.items():
                files.write(os.path.join(staged, name), text.encode())
            os.rename(staged, final)
        except (OSError, HostError) as problem:
            shutil.rmtree(staged, ignore_errors=True)
            raise HostError(
                "cannot stage the new files: %s" % (getattr(problem, "strerror", None) or problem)
            ) from None
        files.sync_directory(self.at("generations"))
        return final

    def load(self, digest):
        """The ``Bundle`` of a stored generation, None where there is none."""
        content = files.read(os.path.join(self.generation(digest), "bundle.json")) if digest else None
        return bundles.build(json.loads(content.decode())) if content else None

    def fault(self, digest):
        """ "" where the stored generation is whole, else what is wrong with it."""
        directory = self.generation(digest)
        manifest = files.read(os.path.join(directory, "manifest"))
        if manifest is None or files.read(os.path.join(directory, "bundle.json")) is None:
            return "generation %s is not there" % digest[:12]
        for line in manifest.decode().splitlines():
            sum_, _mode, _owner, _group, _kind, number, path = line.split(" ", 6)
            content = files.read(os.path.join(directory, "files", number))
            if content is None or files.sha256(content) != sum_:
                return "generation %s has lost its copy of %s" % (digest[:12], path)
        return ""

    def prune(self, keep):
        """Remove all but the ``KEEP`` newest generations and those named in ``keep``."""
        names = os.listdir(self.at("generations"))
        newest = sorted(names, key=lambda name: os.stat(self.generation(name)).st_mtime, reverse=True)
        for name in newest[KEEP:]:
            if name not in keep:
                shutil.rmtree(self.generation(name), ignore_errors=True)
