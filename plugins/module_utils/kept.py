# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources that a call brought stay on a host that is changed, and what Python made of them: the next call sends
their name alone. ``on_host`` reads them. Whatever is not to the byte what was kept counts as absent, so nothing here
has to be durable.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys

from . import files, footprint, store
from .errors import HostError

# No policy has such a name.
SOURCES, COMPILED = "_sources", "_compiled"


def name():
    """Of what is kept here; "" for nothing."""
    packed = files.read(os.path.join(store.BASE, SOURCES))
    return hashlib.sha256(packed).hexdigest() if packed else ""


def keep():
    """Keep what this call brought; its name, or "" where nothing was brought or there is no place for it."""
    carried = getattr(sys.modules[__package__], "carried", None)
    if carried is None:
        return ""
    packed = carried.packed.encode()
    named = hashlib.sha256(packed).hexdigest()
    if carried.are_kept:
        return named
    body = marshal.dumps(carried.code)
    seal = hashlib.sha256((sys.version + named).encode() + body).hexdigest()
    try:
        with footprint.alone():
            files.write(os.path.join(store.BASE, SOURCES), packed)
            files.write(os.path.join(store.BASE, COMPILED), seal.encode() + body)
    except (HostError, OSError):
        return ""
    return named
