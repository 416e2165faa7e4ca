# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specifiers of unit files as the system's manager expands them (systemd.unit(5), SPECIFIERS).

Only those whose value follows from the unit's name, or is the same for every system manager. Others (host name, boot
id, machine id, ...) are for nobody to guess: ``expand`` says so.
"""

from __future__ import annotations

import re

_FOLDERS = {
    "t": "/run",
    "S": "/var/lib",
    "C": "/var/cache",
    "L": "/var/log",
    "E": "/etc",
    "T": "/tmp",
    "V": "/var/tmp",
    # The account that runs the manager, which is not the unit's.
    "u": "root",
    "U": "0",
    "g": "root",
    "G": "0",
    "h": "/root",
    "%": "%",
}
_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")


def unescape(text):
    """What ``systemd-escape --unescape`` prints: '-' is '/', ``\\x2d`` a byte."""
    plain = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text.replace("-", "/"))
    return plain.encode("latin-1", "replace").decode("utf-8", "replace")


def known(unit):
    """{letter: value} of all specifiers that can be told for ``unit``."""
    name = unit.rpartition(".")[0]
    prefix, _at, instance = name.partition("@")
    final = prefix.rpartition("-")[2]
    return dict(
        _FOLDERS,
        n=unit,
        N=name,
        p=prefix,
        P=unescape(prefix),
        i=instance,
        I=unescape(instance),
        j=final,
        J=unescape(final),
        f="/" + unescape(instance or prefix).lstrip("/"),
        d="/run/credentials/" + unit,
    )


def expand(text, unit):
    """``text`` with every specifier replaced. ValueError, with the specifier, for one that cannot be told here."""
    values = known(unit)

    def value(found):
        if found.group(1) not in values:
            raise ValueError(found.group(0))
        return values[found.group(1)]

    return re.sub(r"%(.?)", value, text)
