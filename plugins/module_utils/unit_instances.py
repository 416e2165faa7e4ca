# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy may name a template (``postgresql@.service``): its one instance on this host is what is confined.

Distributions put the version into the instance (``postgresql@15-main``), so that no one name fits a mixed fleet.
"""

from __future__ import annotations

import glob
import os
import re

from .command import run
from .errors import HostError

# Links that make an instance known before anything has loaded it: administrator's, generators', vendor's.
FOLDERS = (
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
_TEMPLATE = re.compile(r"(?P<prefix>[^@]+)@\.service")


def resolve(unit, folders=FOLDERS):
    """``unit``, or for a template the name of its only instance. HostError where there is none or more than one."""
    template = _TEMPLATE.fullmatch(unit)
    if template is None:
        return unit
    found = instances(template.group("prefix"), folders)
    if not found:
        raise HostError(
            "%s has no instance on this host: create one, or name it in the policy." % unit, state="refused"
        )
    if len(found) > 1:
        raise HostError(
            "%s has several instances on this host (%s): a policy confines one; name it in the policy."
            % (unit, ", ".join(found)),
            state="refused",
        )
    return found[0]


def instances(prefix, folders=FOLDERS):
    """Sorted names of all instances that are linked as wanted or that systemd has loaded."""
    name = glob.escape(prefix) + "@?*.service"
    found = set()
    for folder in folders:
        for path in glob.glob(os.path.join(folder, "*.[wr]*s", name)):
            if path.split("/")[-2].rsplit(".", 1)[-1] in ("wants", "requires"):
                found.add(os.path.basename(path))
    listed = run(["systemctl", "list-units", "--all", "--plain", "--no-legend", "--", prefix + "@*.service"])
    for line in listed.stdout.splitlines():
        words = line.split()
        # A failed or stopped instance stays listed; one that a mistyped start made is "not-found".
        if len(words) > 1 and words[0].startswith(prefix + "@") and words[1] == "loaded":
            found.add(words[0])
    return sorted(found)
