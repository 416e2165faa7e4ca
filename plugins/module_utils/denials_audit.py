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

APPARMOR, SECCOMP = "1400", "1326"  # uapi/linux/audit.h: AUDIT_AVC, AUDIT_SECCOMP
_NAMES = {"AVC": APPARMOR, "SECCOMP": SECCOMP, APPARMOR: APPARMOR, SECCOMP: SECCOMP}
_STAMPED = re.compile(r"type=(\w+) (?:msg=)?audit\((\d+)\.(\d{3}):(\d+)\): ?(.*)", re.DOTALL)
_FIELD = re.compile(r'([A-Za-z_]+)=(?:"([^"]*)"|(\S*))')
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
# Fields that hold text of a program's choosing. Arguments, environment and file contents are in none of them.
_TEXTS = frozenset(("name", "comm", "exe", "profile", "target", "peer", "srcname", "info"))

Record = namedtuple("Record", "kind milliseconds serial fields")


def parse(text):
    """The ``Record`` in a line of the kernel ring or of auditd's file; None where it holds none of ours."""
    found = _STAMPED.search(text)
    if not found or found.group(1) not in _NAMES:
        return None
    stamp = int(found.group(2)) * 1000 + int(found.group(3))
    # auditd's own interpretation, which repeats fields, stands behind a group separator (auditd.conf(5), ENRICHED).
    return record(_NAMES[found.group(1)], stamp, int(found.group(4)), found.group(5).partition("\x1d")[0])


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
