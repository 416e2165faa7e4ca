# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own record of what happened: JSON lines, each with the SHA-256 of the line before.

The guard (``guard.py``) appends to the same file from a shell; both write the same keys.
"""

from __future__ import annotations

import hashlib
import json
import os
import time

FIRST = "0" * 64


def append(path, event, **fields):
    """Append one receipt and flush it to the disk. A half-written last line (power cut) is dropped first."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        last = whole.splitlines(keepends=True)[-1:] or [b""]
        entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": event}
        entry.update(fields)
        entry["previous"] = hashlib.sha256(last[0]).hexdigest() if whole else FIRST
        stream.seek(len(whole))
        stream.truncate()
        stream.write(json.dumps(entry).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    return entry


def load(path):
    """(entries, fault): ``fault`` is "" or says which line breaks the chain, counted from 1."""
    entries, previous, fault = [], FIRST, ""
    try:
        with open(path, "rb") as stream:
            lines = stream.read().splitlines(keepends=True)
    except FileNotFoundError:
        return [], ""
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line.decode())
            good = line.endswith(b"\n") and entry["previous"] == previous
        except (ValueError, KeyError, TypeError):
            entry, good = None, False
        if not good and not fault:
            fault = "line %d does not follow from the line before it" % number
        if entry is not None:
            entries.append(entry)
        previous = hashlib.sha256(line).hexdigest()
    return entries, fault
