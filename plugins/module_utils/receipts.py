# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own record of what happened: JSON lines, each with the SHA-256 of the line before and of itself.

The guard (``guard_script.py``) and the closer of debug overlays append to the same file from a shell, in the same form.
Nothing is ever taken out of it. What a power cut left of a line stays, and the next receipt vouches for it as it is.
"""

from __future__ import annotations

import json
import os
import time

from . import files

FIRST = "0" * 64
_SUM = b'"sum": "'

# Records of a change that are final. The receipt of each has its name as the event.
FINAL = ("confirmed", "reverted", "revert_failed", "abandoned")


def named(fields):
    """What a receipt says of the change whose record has ``fields``."""
    return {key: fields.get(key, "") for key in ("from", "to", "nonce", "rollout", "epoch")}


def append(path, event, **fields):
    """Append one receipt and flush it to the disk."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        content = stream.read()
        entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "event": event}
        entry.update(fields)
        ending = b"" if content.endswith(b"\n") or not content else b"\n"
        last = content[content.rfind(b"\n", 0, max(0, len(content) - 1)) + 1 :]
        entry["previous"] = files.sha256(last + ending) if content else FIRST
        body = json.dumps(entry).encode()[:-1] + b", "
        stream.write(ending + body + _end(body))
        stream.flush()
        os.fsync(stream.fileno())
    return entry


def _end(body):
    return b'"sum": "%s"}\n' % files.sha256(body).encode()


def _entry(line):
    """The fields of one line, None where it is not to the byte what was written."""
    body = line[: line.rfind(_SUM)]
    if line != body + _end(body):
        return None
    try:
        entry = json.loads(line.decode())
    except ValueError:
        return None
    del entry["sum"]
    return entry


def load(path):
    """(entries, fault): ``fault`` is "" or names the first line that is not what was written, counted from 1."""
    try:
        with open(path, "rb") as stream:
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return [], ""
    lines = [line + b"\n" for line in lines[:-1]] + lines[-1:]
    if not lines[-1]:
        lines.pop()
    elif _entry(lines[-1] + b"\n"):  # whole but for its end, which whoever writes next puts there first
        lines[-1] += b"\n"
    found = [_entry(line) for line in lines]
    fault, previous = "", FIRST
    for number, entry in enumerate(found):
        if entry is None:
            # Cut off in the middle: whoever wrote next saw it like this and went on from it.
            following = found[number + 1] if number + 1 < len(found) else None
            good = following is not None and following.get("previous") == files.sha256(lines[number])
            why = "is torn or was changed"
        else:
            good = entry.get("previous") == previous
            why = "does not follow from the line before it"
        if not good and not fault:
            fault = "line %d %s" % (number + 1, why)
        previous = files.sha256(lines[number])
    return [entry for entry in found if entry is not None], fault


def missing(entries, records):
    """Names of final ``records`` ({name: fields}) that no receipt tells of: killed in between, or cut off the file."""
    told = {(entry.get("nonce"), entry.get("event")) for entry in entries}
    return [
        name
        for name in FINAL
        if records[name].get("nonce") and (records[name]["nonce"], name.upper()) not in told
    ]
