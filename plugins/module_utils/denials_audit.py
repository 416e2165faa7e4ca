# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One audit record of the kernel as text: its stamp, its type and its fields, wherever it was found.

The same record is in the journal ("AVC apparmor=..."), in the kernel ring ("audit: type=1400 audit(T:N): ...") and in
auditd's file ("type=AVC msg=audit(T:N): ..."). Strings that a program chose are in hex where they hold a blank, a
quote or a control character (audit_log_untrustedstring in kernel/audit.c).
"""

from __future__ import annotations

import re
from collections import namedtuple

from . import denials_numbers as numbers

APPARMOR, SECCOMP = "1400", "1326"  # uapi/linux/audit.h: AUDIT_AVC, AUDIT_SECCOMP
_NAMES = {"AVC": APPARMOR, "SECCOMP": SECCOMP, APPARMOR: APPARMOR, SECCOMP: SECCOMP}
# At the line's beginning alone: what another line of the kernel quotes (a device's name) is no record.
_STAMPED = re.compile(r"(?:audit: |node=\S+ )?type=(\w+) (?:msg=)?audit\(([^)]*)\): ?(.*)", re.DOTALL)
_STAMP = re.compile(r"([0-9]{1,11})\.([0-9]{3}):([0-9]{1,10})")
_FIELD = re.compile(r'([A-Za-z_]+)=(?:"([^"]*)"|(\S*))')
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
# Fields that hold text of a program's choosing. Arguments, environment and file contents are in none of them.
_TEXTS = frozenset(("name", "comm", "exe", "profile", "target", "peer", "srcname", "info"))

Record = namedtuple("Record", "kind milliseconds serial fields")


def parse(text):
    """The ``Record`` in a line of the kernel ring or of auditd's file; None where it holds none of ours.

    Unreadable where it is of ours and its stamp is none.
    """
    found = _STAMPED.match(text)
    if not found or found.group(1) not in _NAMES:
        return None
    stamp = _STAMP.fullmatch(found.group(2))
    if not stamp:
        raise numbers.Unreadable
    milliseconds = int(stamp.group(1)) * 1000 + int(stamp.group(2))
    serial = numbers.needed(stamp.group(3), numbers.SERIAL)
    # auditd's own interpretation, which repeats fields, stands behind a group separator (auditd.conf(5), ENRICHED).
    return record(_NAMES[found.group(1)], milliseconds, serial, found.group(3).partition("\x1d")[0])


def record(kind, milliseconds, serial, body):
    return Record(kind, milliseconds, serial, fields(body))


def fields(body):
    """{name: text}; the first of a name counts, so that nothing behind it can take its place."""
    found = {}
    for name, quoted, bare in _FIELD.findall(body):
        found.setdefault(name, decoded(bare) if bare and name in _TEXTS else quoted or bare)
    return found


def decoded(text):
    """The text behind the kernel's hex, as it is where it is no hex."""
    if not _HEX.fullmatch(text):
        return text
    return bytes.fromhex(text).decode("utf-8", "backslashreplace")


def label(text):
    """A security label without its mode: ``bulkhead.web (enforce)`` is ``bulkhead.web``."""
    return text.lstrip("=").partition(" (")[0]


def printable(text, limit=4096):
    """Text that no terminal takes for a command: control characters are spelt out, and nothing is endless."""
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return shown if len(shown) <= limit else shown[:limit] + "..."
