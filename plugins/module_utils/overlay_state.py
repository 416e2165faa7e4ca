# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a debug overlay is open, and what reports say of it. Every apply asks, so this file imports little."""

from __future__ import annotations

import json
import os

from . import command, files, store
from .unit_files import DEBUG_DROPIN

RUN = "/run/bulkhead"
HOME = RUN + "/debug"
CORES = RUN + "/cores"
UNITS = "/run/systemd/system"


def dropin_path(unit):
    return os.path.join(UNITS, unit + ".d", DEBUG_DROPIN)


def at(policy, *parts):
    return os.path.join(HOME, policy, *parts)


def timer_name(policy):
    return "bulkhead-debug-close-%s.timer" % policy


def unguarded(policy):
    """Whether systemd says that no timer will close it. It is asked only while something is open."""
    done = command.run(["systemctl", "show", "-p", "ActiveState", "--", timer_name(policy)])
    return done.returncode == 0 and done.stdout.strip() in ("ActiveState=inactive", "ActiveState=failed")


def overdue(found):
    """Whether what is open, of ``facts``, was to be closed by now."""
    return found["open"] and bool(found["words"]) and not found["left"]


def noted(policy, unit):
    """Whether anything of an overlay is there: open, half opened or closed halfway."""
    return os.path.isdir(at(policy)) or bool(unit and os.path.exists(dropin_path(unit)))


def profile_opened(policy):
    """Whether the kernel holds an opened copy of the policy's AppArmor profile."""
    return os.path.exists(at(policy, "profile"))


def facts(policy, unit=""):
    """What reports say: ``open`` and, while it is, ``words``, ``until``, ``by``, ``reason``, ``left`` (s), ``trouble``.

    A drop-in of that name that nobody recorded is open as well, and so is what the closer could not close.
    """
    stray = bool(unit) and os.path.exists(dropin_path(unit))
    if not stray and not any(os.path.exists(at(policy, name)) for name in ("state.json", "trouble")):
        return {"open": False}
    try:
        state = json.loads(files.read_text(at(policy, "state.json")) or "{}")
    except ValueError:
        state = {}
    found = {key: state.get(key) for key in ("words", "until", "by", "reason", "opened", "clauses", "shell")}
    left = int(state.get("deadline", 0)) - store.uptime()
    return {"open": True, **found, "left": max(left, 0), "trouble": _trouble(policy, state, left)}


def _trouble(policy, state, left):
    found = [files.read_text(at(policy, "trouble")).strip()]
    if not state:
        found.append("nobody recorded who opened it")
    elif unguarded(policy):
        when = "its time is over and" if left <= 0 else "its timer does not run:"
        found.append(when + " nobody will close it")
    elif left < -120:
        found.append("its time is over and it did not close")
    return "; ".join(filter(None, found))


def sentence(found):
    """One sentence about an open overlay, for people."""
    if not found.get("words"):
        return "open for debugging: %s" % found["trouble"]
    text = "open for debugging (%s) until %s, by %s: %s"
    text %= (", ".join(found["words"]), found["until"], found["by"], found["reason"])
    return text + ("; " + found["trouble"] if found["trouble"] else "")
