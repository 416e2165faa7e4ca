# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose records are the unit's: its account, its program and its processes, as the host has them now."""

from __future__ import annotations

import os
import pwd
import time

from . import denials_numbers as numbers
from . import files
from .denials_seccomp import Owner

PROPERTIES = frozenset(("ControlGroup", "MainPID", "User", "UID", "InactiveExitTimestampMonotonic"))
_SLACK = 1.0  # ticks and two clocks that are not read at once


def of(bundle, facts):
    """The ``Owner`` of a bundle's unit. ``facts``: readback_facts.Facts."""
    labelled = any(item.kind.startswith("apparmor") for item in bundle.artifacts)
    program = _program(facts.main_pid(bundle.unit))
    return Owner(
        bundle.policy, _processes(bundle.unit, facts), _account(bundle.unit, facts), program, labelled
    )


def _account(unit, facts):
    """The number of the unit's account; None where the host has none of that name."""
    account = facts.show(unit, "User") or "root"
    for text in (facts.show(unit, "UID"), account):
        found = numbers.number(text, numbers.ID)
        if found is not None:
            return found
    try:
        return pwd.getpwnam(account).pw_uid
    except KeyError:
        return None


def _program(pid):
    try:
        return os.readlink("/proc/%d/exe" % pid) if pid else ""
    except OSError:
        return ""


def _started(pid):
    """Seconds from the boot to a process's start (proc(5), stat, field 22); None where it is gone."""
    fields = files.read_text("/proc/%d/stat" % pid).rpartition(")")[2].split()
    ticks = numbers.number(fields[19] if len(fields) > 19 else None, numbers.MICROS)
    return None if ticks is None else ticks / os.sysconf("SC_CLK_TCK")


def _processes(unit, facts):
    """{pid: (since when the number stands for this process of the unit, its user or None)}, in seconds of now's clock.

    Numbers are given anew, and begin anew with every boot: a record is a process's only from its own start on, and from
    the unit's.
    """
    micros = numbers.number(facts.show(unit, "InactiveExitTimestampMonotonic"), numbers.MICROS)
    started = numbers.now() - time.monotonic() + micros / 1e6 if micros else 0.0
    found = {}
    for pid in facts.pids(unit):
        since = _started(pid)
        if since is not None:
            users = facts.status(pid).get("Uid", "").split()
            since = max(numbers.booted() + since, started) - _SLACK
            found[pid] = (since, numbers.number(users[0] if users else None, numbers.ID))
    return found
