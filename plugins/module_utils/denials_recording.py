# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switch the records of system call filters on and off: systemd asks the kernel for them only when it is told to.

``SYSTEMD_LOG_SECCOMP=1`` in the manager's own environment (ENVIRONMENT.md of systemd) makes every filter that it
installs from then on write an audit record for each call that it refuses. Host-wide: the manager has no such switch for
a unit.
"""

from __future__ import annotations

import os

from . import files
from .command import must

NAME = "zz-bulkhead-denials.conf"
PLACES = {False: "/run/systemd/system.conf.d", True: "/etc/systemd/system.conf.d"}
CONTENT = b"# Managed by Bulkhead: bulkhead.fleet.denials_record\n[Manager]\nManagerEnvironment=SYSTEMD_LOG_SECCOMP=1\n"
# Only another value switches it off: a variable stays in a manager that reloads or executes itself anew.
OFF = CONTENT.replace(b"=1\n", b"=0\n")


def settle(state, persistent, check, places=None):
    """{"changed", "paths"}: the one file is where it is asked to be, and nowhere else."""
    places = places or PLACES
    wanted = {places[persistent]} if state == "present" else set()
    have = {folder for folder in places.values() if files.read(os.path.join(folder, NAME)) is not None}
    intact = all(files.read(os.path.join(folder, NAME)) == CONTENT for folder in wanted & have)
    answer = {
        "changed": have != wanted or not intact,
        "paths": [os.path.join(folder, NAME) for folder in sorted(wanted)],
    }
    if check or not answer["changed"]:
        return answer
    for folder in sorted(wanted):
        os.makedirs(folder, 0o755, exist_ok=True)
        files.write(os.path.join(folder, NAME), CONTENT, 0o644)
    if wanted:
        _remove(have - wanted)
        _reload()
    else:
        for folder in sorted(have):
            files.write(os.path.join(folder, NAME), OFF, 0o644)
        _reload()
        _remove(have)
    return answer


def _reload():
    must(["systemctl", "daemon-reload"], "reading the manager's configuration", timeout=120.0)


def _remove(folders):
    for folder in sorted(folders):
        files.remove(os.path.join(folder, NAME))
        if not os.listdir(folder):
            os.rmdir(folder)
