# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drop-ins of somebody else on units of ours, as far as they undo what the units are for."""

from __future__ import annotations

import os

from . import drift_lines, files, unit_files

# The parent of all our slices: what it allows is allowed in each of them.
PARENT = "bulkhead.slice"
_RUNS = ("Exec", "Condition", "Assert")


def asked(own):
    """Further units whose drop-ins count."""
    return [PARENT] if any(name.endswith(".slice") for name in own) else []


def find(bundle, own, shown):
    """[(path, why, clauses)]. ``shown``: properties of the units, ``DropInPaths`` among them."""
    ours = {item.path for item in bundle.artifacts}
    found = []
    for name in own + asked(own):
        for path in shown.get(name, {}).get("DropInPaths", "").split():
            # Not what a distribution has for all units of a kind, such as service.d/10-timeout-abort.conf of Fedora.
            if path not in ours and os.path.basename(os.path.dirname(path)).startswith("bulkhead"):
                found += [(path, *told) for told in _undone(bundle, name, files.read_text(path))]
    return found


def _undone(bundle, name, text):
    found = []
    for settings in unit_files.merge({}, text).values():
        # systemd.resource-control(5): an address that any slice above allows is allowed, whatever the unit denies.
        if settings.get("IPAddressAllow"):
            clauses = _denying(bundle)
            if clauses:
                found.append(("IPAddressAllow=%s" % " ".join(settings["IPAddressAllow"]), clauses))
        changed = sorted(key for key in settings if name.endswith(".service") and key.startswith(_RUNS))
        if changed:
            found.append(("%s of %s" % (", ".join(changed), name), drift_lines.of_unit(bundle, name)))
    return found


def _denying(bundle):
    """The clauses behind IPAddressDeny= of the application's own drop-in."""
    found = set()
    for item in bundle.artifacts:
        clauses = drift_lines.by_line(bundle, item.path)
        for number, line in enumerate(item.content.decode().splitlines(), 1):
            if item.unit == bundle.unit and drift_lines.key_of(line) == "IPAddressDeny":
                found |= clauses.get(number, set())
    return sorted(found)
