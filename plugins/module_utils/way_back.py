# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back of one change, in lines for the guard (``guard_script.py``), which has no Python.

Each line is a word and what it is about: ``nonce``, ``epoch``, ``from``, ``to`` of the change; ``put`` a file of the
generation before; ``dropin`` and ``remove`` files that were not there; ``profile``, ``stop``, ``reload``, ``start``
units and profiles; ``application`` a unit to restart, with "restarted" where the change restarts it, else with the
invocation that the change leaves alone: another one began under the new files.
"""

from __future__ import annotations

import os

from . import files

# What an application has from its start on: only where one of these differs does it have to start anew.
_AT_START = ("systemd_dropin", "apparmor")
_NAMES = ("nonce", "epoch", "from", "to")


def manifest_line(number, item):
    """sha256 mode owner group number path"""
    names = (files.sha256(item.content), item.mode, item.owner, item.group, number, item.path)
    return "%s %04o %s %s %d %s" % names


def text(fields, old, new, planned):
    """The way from ``new`` to ``old`` (Bundles or None). ``planned``: what the change restarts, and what it found."""
    kept = {item.path for item in old.artifacts} if old else set()
    gone = [item for item in (new.artifacts if new else ()) if item.path not in kept]
    words = [(key, fields.get(key) or 0) if key == "epoch" else (key, fields[key]) for key in _NAMES]
    words += [("put", manifest_line(*pair)) for pair in enumerate(old.artifacts if old else ())]
    words += [("dropin", item.path) for item in gone if item.kind == "systemd_dropin"]
    words += [("remove", item.path) for item in gone]
    words += [("profile", os.path.basename(item.path)) for item in gone if item.kind == "apparmor"]
    words += [("stop", os.path.basename(item.path)) for item in gone if item.kind == "systemd_unit"]
    words += [
        ("reload" if name.endswith(".service") else "start", name) for name in (old.units if old else ())
    ]
    words += [("application", pair) for pair in _applications(old, new, planned)]
    return "".join("%s %s\n" % word for word in words)


def _applications(old, new, planned):
    found = ["%s restarted" % name for name in planned.restart]
    unit = (new or old).unit
    if unit not in planned.restart and _at_start(old) != _at_start(new):
        facts = getattr(planned, "facts", {}).get(unit, {})
        found.append("%s %s" % (unit, facts.get("InvocationID") or "-"))
    return found


def _at_start(bundle):
    return {
        (item.path, item.content) for item in (bundle.artifacts if bundle else ()) if item.kind in _AT_START
    }


def passed_on(before, fields):
    """The way of an earlier run's change, as that of the run that adopts it: its nonce, the same files and units."""
    own = "".join("%s %s\n" % (key, fields[key]) for key in ("nonce", "epoch"))
    return own + "".join(
        line + "\n" for line in before.splitlines() if not line.startswith(("nonce ", "epoch "))
    )


def names(content):
    """{nonce, epoch, from, to} of a way back, as far as it has them."""
    found = dict(line.split(" ", 1) for line in content.splitlines() if " " in line)
    return {key: found[key] for key in _NAMES if key in found}
