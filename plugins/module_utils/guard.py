# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arm the guard for one change, let it go. What is put on the host for it is in ``guard_files.py``."""

from __future__ import annotations

import os

from . import store, units
from .command import must, run
from .errors import HostError


def script_path():
    return os.path.join(store.BASE, "guard")


def unit_name(policy):
    return "bulkhead-guard@%s.service" % policy


def arm(policy):
    """Rehearse, start the guard, and read back that it runs; HostError when it does not: then nothing is applied."""
    rehearsed = run(["/bin/sh", script_path(), "rehearse", policy])
    if rehearsed.returncode != 0:
        why = " ".join(rehearsed.stderr.split())[:200]
        raise HostError(
            "the guard could not put the generation before back, so nothing is applied%s."
            % (": " + why if why else "")
        )
    must(["systemctl", "restart", "--", unit_name(policy)], "starting the guard")
    if units.show([unit_name(policy)])[unit_name(policy)].get("ActiveState") != "active":
        raise HostError(
            "the guard does not run, so nothing is applied: %s" % units.explain(unit_name(policy))
        )


def watch(policy):
    """Start the guard of a pending change that is adopted, if it is not awake."""
    must(["systemctl", "start", "--", unit_name(policy)], "starting the guard")


def revert(place, nonce):
    """Let the guard's own program put the generation before back, now. True when it did. The lock is held.

    The program has the lock as well: if we are killed it goes on, and nobody else begins before it has ended.
    """
    argv = ["/bin/sh", script_path(), "revert", place.policy, nonce]
    return run(argv, timeout=300, keep=place.lock_descriptors()).returncode == 0


def dismiss(policy):
    """Clean-up only: a change is confirmed by the rename of its record, never by stopping the guard."""
    run(["systemctl", "stop", "--no-block", "--", unit_name(policy)])
