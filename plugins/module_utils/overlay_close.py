# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Closing a debug overlay: what the closer (overlay_script.py) reads is laid down before anything opens."""

from __future__ import annotations

import os
import pwd
import shutil

from . import command, diffing, files, overlay_files, overlay_state, store
from .errors import HostError
from .overlay_script import SCRIPT
from .overlay_state import at, dropin_path, facts, sentence


def prepare(policy, state, artifacts, cores, shown):
    """Everything that the closer needs, before anything is open."""
    shutil.rmtree(at(policy), ignore_errors=True)
    for folder, mode in ((overlay_state.RUN, 0o755), (overlay_state.HOME, 0o700), (at(policy), 0o700)):
        os.makedirs(folder, mode=mode, exist_ok=True)
    texts = {
        "deadline": "%d\n" % state["deadline"],
        "unit": state["unit"] + "\n",
        "shell": state["shell"] + "\n" if state["shell"] else "",
        "files": "".join(item.path + "\n" for item in artifacts),
        "cores": cores.folder + "\n" if cores and cores.own else "",
        "enter": overlay_files.enter_text(policy, state["shell"]) if state["shell"] else "",
    }
    for name, text in texts.items():
        if text:
            files.write(at(policy, name), text.encode())
    if any(item.path == dropin_path(state["unit"]) for item in artifacts):
        files.write(at(policy, "restart"), b"\n")
    _write_closer()
    for item in artifacts:
        os.makedirs(os.path.dirname(item.path), mode=0o755, exist_ok=True)
    if cores and cores.own:
        os.makedirs(overlay_state.CORES, mode=0o711, exist_ok=True)
        os.chmod(overlay_state.CORES, 0o711)
        os.makedirs(cores.folder, mode=0o700, exist_ok=True)
        os.chown(cores.folder, *owner_of(shown))


def owner_of(shown):
    """(user, group) ids of the account that writes the cores. ``shown``: properties of the unit.

    HostError for an account that this host does not know now: that of DynamicUser= is there only while the unit runs.
    """
    name = shown.get("User") or "0"
    try:
        found = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except KeyError:
        if name.isdigit():
            return int(name), -1  # systemd.exec(5), User=: a number needs no entry
        raise HostError(
            "core_dumps: user %r is not known on this host now, and the folder for cores is to be its own. Start the"
            " service first." % name,
            state="refused",
        ) from None
    return found.pw_uid, found.pw_gid


def close(policy, check=False, why="by hand"):
    """Close it now, for the module. Done twice, the second time changes nothing."""
    place = store.Store(policy)
    answer = {
        "changed": False,
        "state": "closed",
        "debug": {"open": False},
        "diff": [],
        "restarted": [],
        "notes": [],
    }
    if not place.exists():
        return answer
    if check:
        return {**answer, **close_plan(place)}
    with place.lock():
        planned = close_plan(place)
        close_locked(place, why)
    return {**answer, **planned, "debug": facts(policy)}


def close_plan(place):
    """What closing changes, as fields of an answer; {} where nothing is open."""
    bundle = place.load(place.active())
    unit = bundle.unit if bundle else ""
    now = facts(place.policy, unit)
    if not now["open"]:
        return {}
    paths = files.read_text(at(place.policy, "files")).split("\n") + ([dropin_path(unit)] if unit else [])
    restarts = [unit] if restarts_at_close(place.policy, unit) else []
    changed = diffing.of_change([], sorted(path for path in set(paths) if os.path.exists(path)))
    return {"changed": True, "diff": changed, "restarted": restarts, "notes": ["it was " + sentence(now)]}


def restarts_at_close(policy, unit):
    return os.path.exists(at(policy, "restart")) or bool(unit and os.path.exists(dropin_path(unit)))


def close_locked(place, why, unit=None):
    """Close what is open for this policy; the lock is held. The sentence about it, "" where nothing was open."""
    if unit is None:
        bundle = place.load(place.active())
        unit = bundle.unit if bundle else ""
    now = facts(place.policy, unit)
    if not now["open"]:
        # An opening that was killed before it was armed leaves its notes, and nothing open.
        if os.path.isdir(at(place.policy)):
            shutil.rmtree(at(place.policy), ignore_errors=True)
        return ""
    if not os.path.exists(at(place.policy, "state.json")):
        # Nobody recorded it: write down what the closer needs and let it do the same work.
        state = {"deadline": 0, "unit": unit, "shell": ""}
        item = overlay_files.artifact(dropin_path(unit), "")
        prepare(place.policy, state, [item], None, {})
    done = run_closer(place.policy, why)
    if done.returncode != 0 or os.path.exists(at(place.policy)):
        text = " ".join(done.stderr.split())[-300:]
        raise HostError("the debug overlay does not close: %s Stop the service, or mend its unit." % text)
    return sentence(now)


def run_closer(policy, why):
    return command.run(["/bin/sh", _write_closer(), policy, "locked", why], timeout=300)


def _write_closer():
    path = os.path.join(overlay_state.HOME, "close")
    files.write(path, SCRIPT.replace("@BASE@", store.BASE).encode(), 0o700)
    return path
