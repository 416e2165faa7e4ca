# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The place up to which a host's records were read: opaque text for whoever keeps it, checked when it comes back."""

from __future__ import annotations

import base64
import json
import zlib

from .errors import HostError

FORMAT = 2  # 1 kept the serial of whichever boot had the latest time
LENGTH = 16384
_WHAT = "Leave 'cursor' out to read all that the host still has."


class Position:
    """``journal``: its cursor. ``micros``: the kernel's clock of the last line. ``audit``: [the latest time of a
    record in milliseconds, the highest serial of the boot ``boot``]. ``packets``: {comment: count}.
    ``events``: {counter: count} of the unit's start ``invocation``."""

    def __init__(self, policy, machine, boot):
        self.policy, self.machine, self.boot = policy, machine, boot
        self.journal, self.micros, self.audit = "", 0, [0, 0]
        self.packets, self.events, self.invocation = {}, {}, ""

    def text(self):
        data = dict(vars(self), format=FORMAT)
        return base64.urlsafe_b64encode(zlib.compress(json.dumps(data, sort_keys=True).encode(), 9)).decode()


def read(text, policy, machine, boot):
    """(``Position``, what the reader has to know). HostError where the text is no cursor, or one of another place."""
    position, notes = Position(policy, machine, boot), []
    if not text:
        return position, notes
    data = _data(text)
    if data["policy"] != policy:
        raise HostError("the cursor is of policy %s, not of %s. %s" % (data["policy"], policy, _WHAT))
    if data["machine"] != machine:
        raise HostError("the cursor is of another host. %s" % _WHAT)
    position.journal = data["journal"]
    position.audit = [data["audit"][0], 0]  # serials begin anew with a boot
    if data["boot"] == boot:
        position.audit = data["audit"]
        position.micros, position.packets = data["micros"], data["packets"]
        position.events, position.invocation = data["events"], data["invocation"]
    else:
        notes.append(
            "the host was started again since the cursor: its counters began anew, and what only the kernel ring of "
            "the earlier boot had is lost"
        )
    return position, notes


def _data(text):
    shape = {
        "policy": str, "machine": str, "boot": str, "journal": str, "micros": int, "audit": list, "packets": dict,
        "events": dict, "invocation": str,
    }  # fmt: skip
    try:
        if len(text) > LENGTH:
            raise ValueError
        engine = zlib.decompressobj()
        raw = engine.decompress(base64.urlsafe_b64decode(text.encode()), 1024 * 1024)
        if not engine.eof or engine.unused_data:
            raise ValueError
        data = json.loads(raw.decode())
        old = data["format"] == FORMAT - 1
        good = data["format"] == FORMAT and all(isinstance(data[name], kind) for name, kind in shape.items())
        good = good and len(data["audit"]) == 2 and all(isinstance(part, int) for part in data["audit"])
        good = good and all(
            isinstance(count, int) for name in ("packets", "events") for count in data[name].values()
        )
    except (ValueError, KeyError, TypeError, zlib.error):
        old = good = False
    if old:
        raise HostError("the cursor is of an earlier version of bulkhead.fleet. %s" % _WHAT)
    if not good:
        raise HostError("the cursor is none that bulkhead.fleet.denials_info gave. %s" % _WHAT)
    return data


def grown(now, before):
    """{name: by how much} of counters; one that is lower than before began anew, so all of it is new."""
    found = {}
    for name, count in now.items():
        earlier = before.get(name, 0)
        found[name] = count - earlier if count >= earlier else count
    return {name: count for name, count in found.items() if count}
