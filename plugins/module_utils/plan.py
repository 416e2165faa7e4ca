# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have and want compared: what a switch from one generation to another writes, removes, starts and restarts."""

from __future__ import annotations

import os
from collections import namedtuple

from . import apparmor, files, units
from .command import run
from .errors import HostError
from .validators import UNIT_KINDS

# write: artifacts; remove: artifacts of the old generation only; reload: own units to bring up or reload;
# stop: own units of the old generation only; restart: applications; reasons: for people.
Plan = namedtuple("Plan", "write remove reload stop restart reasons facts")


def make(old, new, restart=True):
    """A ``Plan`` out of the disk's and systemd's present state. ``old`` and ``new``: Bundle or None."""
    wanted = {item.path: item for item in (new.artifacts if new else ())}
    write, reasons = [], []
    for item in wanted.values():
        uid, gid = files.user_id(item.owner), files.group_id(item.group)
        why = files.difference(item.path, item.content, item.mode, uid, gid)
        if why:
            write.append(item)
            reasons.append("%s: %s" % (item.path, why))
    leftover = [item for item in (old.artifacts if old else ()) if item.path not in wanted]
    remove = [item for item in leftover if os.path.lexists(item.path)]
    dropins = [
        item for bundle in (old, new) if bundle for item in bundle.artifacts if item.kind == "systemd_dropin"
    ]
    applications = sorted({bundle.unit for bundle in (old, new) if bundle} | {item.unit for item in dropins})
    own_new, own_old = own_units(new), own_units(old)
    facts = units.show(sorted(set(applications) | set(own_new) | set(own_old)))
    touched = {item.path for item in write + remove}
    reload = []
    for name in new.units if new else ():
        made_of = {item.path for item in new.artifacts if name in (item.unit, os.path.basename(item.path))}
        if not units.running(facts[name]):
            reasons.append("%s: not active" % name)
        elif made_of & touched and name.endswith(".service"):
            pass
        elif not tables_there(new, name):
            reasons.append("%s: its nftables table is gone" % name)
        elif apparmor.faults(new, name):
            reasons += ["%s: %s" % fault for fault in apparmor.faults(new, name)]
        else:
            continue
        reload.append(name)
    for name in applications:
        if misplaced(facts[name], removing=new is None):
            reasons.append("%s: runs in %s" % (name, facts[name].get("ControlGroup")))
    wrong = apparmor.wrong_label(new, facts[new.unit]) if new else ""
    if wrong:
        reasons.append("%s: %s" % (new.unit, wrong))
    # A profile takes effect on what runs at once, but that the application starts with it only a restart shows.
    profiled = (
        {bundle.unit for bundle in (old, new) if bundle} if _holds(write + remove, "apparmor") else set()
    )
    if wrong:
        profiled.add(new.unit)
    changed_applications = [
        name
        for name in applications
        if any(item.kind == "systemd_dropin" and item.unit == name for item in write + remove)
        or misplaced(facts[name], removing=new is None)
        or name in profiled
    ]
    return Plan(
        write,
        remove,
        reload,
        [name for name in own_old if name not in own_new],
        [name for name in changed_applications if restart and units.running(facts[name])],
        reasons + ["%s: no longer wanted" % item.path for item in remove],
        facts,
    )


def _holds(items, kind):
    return any(item.kind == kind for item in items)


def own_units(bundle):
    """Names of the unit files that the bundle brings, and of those that it starts."""
    if bundle is None:
        return []
    made = [os.path.basename(item.path) for item in bundle.artifacts if item.kind == "systemd_unit"]
    return sorted(set(made) | set(bundle.units))


def tables(bundle):
    """Names ("inet bulkhead_nginx") of the tables that the bundle's rule files declare, by the unit that loads them."""
    found = {}
    for item in bundle.artifacts:
        if item.kind == "nftables":
            for line in item.content.decode().splitlines():
                words = line.split()
                if len(words) >= 4 and words[0] == "table" and words[3] == "{":
                    found.setdefault(item.unit, set()).add((words[1], words[2]))
    return found


def tables_there(bundle, unit):
    """Every "nft flush ruleset" on the host takes our table along and leaves no record: so look."""
    return all(
        run(["nft", "list", "table", family, name]).returncode == 0
        for family, name in sorted(tables(bundle).get(unit, ()))
    )


def empty(plan):
    return not (plan.write or plan.remove or plan.reload or plan.stop or plan.restart)


def misplaced(facts, removing=False):
    """Whether a running unit's processes are elsewhere than its files say: it was not restarted since they changed.

    In a removal: whether they are in a slice of ours at all, because that slice stops and they would stop with it.
    """
    group = facts.get("ControlGroup", "") + "/"
    if not units.running(facts) or group == "/":
        return False
    if removing:
        return "/bulkhead.slice/" in group
    wanted = facts.get("Slice", "")
    return wanted.startswith("bulkhead-") and "/%s/" % wanted not in group


def switch(plan, deadline=180.0):
    """Carry ``plan`` out. The order matters: files, manager, our units, applications, and only then what goes.

    An application lets go of a unit of ours before that unit stops: it requires it and would stop with it.
    """
    unit_files = [item for item in plan.write if item.kind in UNIT_KINDS]
    for item in plan.write:
        files.write(item.path, item.content, item.mode, files.user_id(item.owner), files.group_id(item.group))
    dropins = [item for item in plan.remove if item.kind == "systemd_dropin"]
    for item in dropins:
        files.remove(item.path)
    if unit_files or dropins:
        units.reload_manager()
    # A slice cannot reload, and restarting it would stop every application in it: it only starts.
    units.start([name for name in plan.reload if not name.endswith(".service")])
    units.start_or_reload([name for name in plan.reload if name.endswith(".service")])
    units.restart(plan.restart, deadline)
    if plan.stop:
        units.stop(plan.stop)
    rest = [item for item in plan.remove if item not in dropins]
    for item in rest:
        files.remove(item.path)
    if any(item.kind in UNIT_KINDS for item in rest):
        units.reload_manager()


def check_owner(policy, unit, others):
    """Two policies for one unit would overwrite each other's drop-in: the second is refused."""
    for name, other in others.items():
        if name != policy and other.unit == unit:
            raise HostError("%s is confined by policy %s already." % (unit, name), state="refused")
