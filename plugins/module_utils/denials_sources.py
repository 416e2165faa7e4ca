# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a host keeps the kernel's records: the journal, the kernel ring, auditd's file. Each is read as far as it goes.

Which of them has a record depends on the host: without auditd the journal has all where its audit socket is on (systemd
252), and only what the ring got where it is off (257). With auditd the ring gets nothing. So all three are read, and
what two of them have counts once: audit records by their stamp and content, other kernel lines by the kernel's clock.
"""

from __future__ import annotations

import errno
import json
import os
import select
import subprocess
import time
from collections import namedtuple

from . import denials_audit
from . import denials_numbers as numbers
from .command import PATH

KMSG = "/dev/kmsg"
AUDIT_LOGS = ("/var/log/audit/audit.log.1", "/var/log/audit/audit.log")
AUDIT_BYTES = 8 * 1024 * 1024
SECONDS = 60.0
# What can be in a line that is ours; journalctl leaves the others out where it was built with PCRE2.
PATTERN = r'apparmor="|SECCOMP|type=1326|type=1400|bulkhead |pids controller|oom-kill:|OOM killer'
# systemd's own word that a process of a unit was killed for its memory (systemd.journal-fields(7), sd-messages.h)
OOM = "OOM"
OOM_MESSAGE = "fe6faa94e7774663a0da52717891d8ef"
_FIELDS = (
    "MESSAGE,_TRANSPORT,_BOOT_ID,_SOURCE_MONOTONIC_TIMESTAMP,_SOURCE_REALTIME_TIMESTAMP,_AUDIT_TYPE,_AUDIT_ID,"
    "SYSLOG_FACILITY"
)
# Who writes to /dev/kmsg (StandardOutput=kmsg, too) is in the journal as the kernel is, but for its facility, which
# cannot be 0 (kernel/printk/printk.c, devkmsg_write; journald-kmsg.c keeps it).
KERNEL = "0"

# ``stamp``: seconds since the epoch. ``audit``: a denials_audit.Record or None. ``text``: the line of a kernel line.
# None where it cannot be read. ``micros``: the kernel's clock of a kernel line, 0 where there is none. ``boot``: of the
# boot that it is of, "" where the source cannot say.
Line = namedtuple("Line", "stamp audit text micros boot")


class Journal:
    """Lines of the journal behind ``cursor``, at most ``limit`` of them.

    After reading, ``state`` says what became of it (read, absent, failed), ``cursor`` is the last line's, and ``whole``
    is False where there was more than could be read.
    """

    def __init__(self, unit, cursor="", limit=5000, seconds=SECONDS):
        self.unit, self.cursor, self.limit, self.seconds = unit, cursor, limit, seconds
        self.state, self.whole = "absent", True

    def __iter__(self):
        try:
            yield from self._read(["--grep", PATTERN])
        except _NoPatterns:
            yield from self._read([])

    def _read(self, extra):
        argv = [
            "journalctl",
            "--quiet",
            "--no-pager",
            "--all",
            "--output=json",
            "--output-fields=" + _FIELDS,
        ] + extra
        argv += ["--after-cursor=" + self.cursor] if self.cursor else []
        argv += ["_TRANSPORT=audit", "+", "_TRANSPORT=kernel", "SYSLOG_FACILITY=" + KERNEL]
        argv += ["+", "MESSAGE_ID=" + OOM_MESSAGE, "UNIT=" + self.unit, "_PID=1"]
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"PATH": PATH, "LC_ALL": "C", "SYSTEMD_COLORS": "0"},
                cwd="/",
            )
        except OSError:
            return
        taken, deadline = 0, time.monotonic() + self.seconds
        try:
            for raw in process.stdout:
                if taken >= self.limit or time.monotonic() > deadline:
                    self.whole = False
                    break
                taken += 1
                line = self._line(raw)
                if line is not None:
                    yield line
            self._end(process, taken)
        finally:
            process.kill()
            process.communicate()

    def _end(self, process, taken):
        if not self.whole:
            self.state = "read"
            return
        said = process.stderr.read().decode("utf-8", "replace")
        # Exit 1 without a word: nothing matched the pattern (journalctl(1), --grep).
        failed = process.wait() != 0 and bool(said.strip())
        if failed and not taken and "pattern matching" in said:
            raise _NoPatterns
        self.state = "failed: " + " ".join(said.split())[:200] if failed else "read"

    def _line(self, raw):
        try:
            entry = json.loads(raw.decode("utf-8", "replace"))
            self.cursor = entry["__CURSOR"]
            return _entry_line(entry)
        except (ValueError, KeyError, TypeError, numbers.Unreadable):
            return _unreadable("")


class _NoPatterns(Exception):
    """This journalctl knows no --grep."""


def _entry_line(entry):
    """The ``Line`` of one entry, None where it is another's. Raises where a field is none that journald writes."""
    transport, boot = entry.get("_TRANSPORT"), entry.get("_BOOT_ID", "")
    taken = entry.get("_SOURCE_REALTIME_TIMESTAMP") or entry["__REALTIME_TIMESTAMP"]
    stamp = numbers.needed(taken, numbers.MICROS)
    if transport == "journal":
        return Line(stamp / 1e6, None, OOM, 0, boot)
    if transport == "audit":
        # The kernel alone sends these types: what a program sends it is 1005, 1100 to 1199 or 2100 to 2999
        # (kernel/audit.c, audit_receive_msg). journald gives all of them the facility 4.
        kind = entry.get("_AUDIT_TYPE")
        if kind not in (denials_audit.APPARMOR, denials_audit.SECCOMP):
            return None
        body = _text(entry.get("MESSAGE")).partition(" ")[2]  # the type's name stands before the record
        serial = numbers.needed(entry.get("_AUDIT_ID"), numbers.SERIAL)
        return Line(stamp / 1e6, denials_audit.record(kind, stamp // 1000, serial, body), "", 0, boot)
    if transport != "kernel" or entry.get("SYSLOG_FACILITY") != KERNEL:
        return None
    micros = numbers.needed(entry.get("_SOURCE_MONOTONIC_TIMESTAMP") or "0", numbers.MICROS)
    return _kernel_line(stamp / 1e6, _text(entry.get("MESSAGE")), micros, boot)


def _text(message):
    """A message that is no UTF-8 comes as a list of bytes; one that is too long as null."""
    if isinstance(message, list):
        return bytes(message).decode("utf-8", "replace")
    return message if isinstance(message, str) else ""


def _unreadable(boot, micros=0):
    return Line(0.0, None, None, micros, boot)


def _kernel_line(stamp, text, micros, boot):
    try:
        audit = denials_audit.parse(text)
    except numbers.Unreadable:
        return _unreadable(boot, micros)
    if audit is not None:
        return Line(audit.milliseconds / 1e3, audit, "", micros, boot)
    return Line(stamp, None, text, micros, boot)


def ring(boot, path=KMSG, now=time.time, uptime=time.monotonic):
    """Lines of the kernel ring (Documentation/ABI/testing/dev-kmsg), oldest first; None where it cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    started = now() - uptime()  # printk's clock does not run while the machine sleeps, as CLOCK_MONOTONIC
    lines = []
    try:
        while select.select([handle], [], [], 0)[0]:
            try:
                raw = os.read(handle, 16384)
            except OSError as problem:
                if problem.errno == errno.EPIPE:  # overwritten while it was read: go on with the oldest
                    continue
                break
            if not raw:
                break
            line = ring_line(raw.decode("utf-8", "replace"), boot, started)
            if line is not None:
                lines.append(line)
    finally:
        os.close(handle)
    return lines


def ring_line(raw, boot, started):
    """``6,339,5140900,-;text`` and lines of a dictionary that begin with a blank; None for what no kernel wrote."""
    head, _semicolon, rest = raw.partition(";")
    parts = head.split(",")
    # Facility 0 is the kernel: eight levels and no more.
    if len(parts) < 3 or numbers.number(parts[0], 7) is None:
        return None
    micros = numbers.number(parts[2], numbers.MICROS)
    if micros is None:
        return _unreadable(boot)
    return _kernel_line(started + micros / 1e6, _unescaped(rest.split("\n", 1)[0]), micros, boot)


def _unescaped(text):
    """The ring writes what cannot be printed as \\xNN (kernel/printk/printk.c, msg_add_ext_text)."""
    return text.encode().decode("unicode_escape", "replace") if "\\x" in text else text


def audit_files(paths=AUDIT_LOGS):
    """[(path, bytes)] of auditd's files that are there, the older first; [] where no auditd writes any."""
    found = []
    for path in paths:
        try:
            found.append((path, os.stat(path).st_size))
        except OSError:
            continue
    return found


def audit_lines(path, size, most=AUDIT_BYTES):
    """Records of one of auditd's files, from its last ``most`` bytes."""
    try:
        with open(path, "rb") as stream:
            if size > most:
                stream.seek(size - most)
                stream.readline()
            for raw in stream:
                if b"type=AVC" not in raw and b"type=SECCOMP" not in raw:
                    continue
                line = _kernel_line(0.0, raw.decode("utf-8", "replace").rstrip("\n"), 0, "")
                if line.audit is not None or line.text is None:
                    yield line
    except OSError:
        return
