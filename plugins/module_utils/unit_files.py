# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a unit's files say, in systemd's order and with systemd's resets (systemd.syntax(7)), without our own file.

``systemctl show`` cannot answer this: on a confined host it would give our own values back.
"""

from __future__ import annotations

import os
import re

OWN_DROPIN = "zz-bulkhead.conf"
DEBUG_DROPIN = "zzy-bulkhead-debug.conf"  # behind ours, while it is open for debugging, in /run
PROBE_DROPIN = "zzz-bulkhead-probe.conf"  # behind both, for one reload, in /run
OURS = (OWN_DROPIN, DEBUG_DROPIN, PROBE_DROPIN)


# As read_line_full() and config_parse() of systemd's conf-parser.c have it.
_BLANK = " \t\n\r"
_LINE_END = re.compile("\r\n|\n\r|[\n\r\0]")


def _continued(line):
    """Whether the last backslash of ``line`` escapes its end, and none of an even number before it."""
    return (len(line) - len(line.rstrip("\\"))) % 2 == 1


def logical_lines(text):
    """Lines with continuations joined by a space; comments go, also those within a continuation."""
    parts = []
    for line in _LINE_END.split(text[1:] if text.startswith("\ufeff") else text):
        stripped = line.strip(_BLANK)
        if stripped[:1] in ("#", ";") or (not stripped and not parts):
            continue
        if _continued(line):
            parts.append(line[:-1].strip(_BLANK))
            continue
        parts.append(stripped)
        yield " ".join(parts)
        parts = []
    if parts:
        yield " ".join(parts)


def merge(sections, text):
    """Fold one file into ``sections`` ({"Service": {"User": [...]}}): values append, an empty one clears."""
    current = None
    for line in logical_lines(text):
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1], {})
        elif current is not None and "=" in line:
            key, value = (part.strip(_BLANK) for part in line.split("=", 1))
            values = current.setdefault(key, [])
            if value:
                values.append(value)
            else:
                del values[:]
    return sections


def read(fragment, dropins):
    """The sections of ``fragment`` and then of ``dropins``, but for ours."""
    sections = {}
    for path in [fragment] + [item for item in dropins if os.path.basename(item) not in OURS]:
        if path:
            try:
                with open(path, "rb") as stream:  # a vendor's unit may be a link: follow it
                    merge(sections, stream.read().decode("utf-8", "replace"))
            except OSError:
                continue
    return sections
