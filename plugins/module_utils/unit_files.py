# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a unit's files say, in systemd's order and with systemd's resets (systemd.syntax(7)), without our own file.

``systemctl show`` cannot answer this: on a confined host it would give our own values back.
"""

from __future__ import annotations

import os

from . import unit_specifiers

OWN_DROPIN = "zz-bulkhead.conf"
DEBUG_DROPIN = "zzy-bulkhead-debug.conf"  # behind ours, while it is open for debugging, in /run
PROBE_DROPIN = "zzz-bulkhead-probe.conf"  # behind both, for one reload, in /run
OURS = (OWN_DROPIN, DEBUG_DROPIN, PROBE_DROPIN)


def logical_lines(text):
    """Lines with continuations joined by a space; comments go, also those within a continuation."""
    parts = []
    for line in text.splitlines():
        stripped = line.strip()
        if stripped[:1] in ("#", ";") or (not stripped and not parts):
            continue
        if line.endswith("\\"):
            parts.append(line[:-1].strip())
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
            key, value = (part.strip() for part in line.split("=", 1))
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


def programs(service, unit=""):
    """Absolute program paths of all Exec lines, without systemd's prefixes, specifiers expanded, sorted."""
    found = set()
    for key, lines in service.items():
        if key.startswith("Exec") and key not in ("ExecPaths", "ExecSearchPath"):
            for line in lines:
                word = line.lstrip("@-:+!|").split(None, 1)[:1]
                path = word[0].strip("\"'") if word else ""
                try:
                    path = unit_specifiers.expand(path, unit)
                except ValueError:
                    continue  # the compiler refuses such a unit
                if path.startswith("/"):
                    found.add(path)
    return sorted(found)


def interpreter(path):
    """The program that a ``#!`` file really runs, ``/usr/bin/env NAME`` resolved; "" for anything else."""
    try:
        with open(path, "rb") as stream:
            first = stream.readline(256)
    except OSError:
        return ""
    if not first.startswith(b"#!"):
        return ""
    words = first[2:].decode("utf-8", "replace").split()
    if words and os.path.basename(words[0]) == "env":
        names = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        for directory in ("/usr/local/bin", "/usr/bin", "/bin"):
            if names and os.access(os.path.join(directory, names[0]), os.X_OK):
                return os.path.join(directory, names[0])
    return words[0] if words else ""
