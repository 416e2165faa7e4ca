# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have and want compared: what a switch from one generation to another writes, removes, starts and restarts."""

from __future__ import annotations

import os
from collections import namedtuple

from . import apparmor, drift, drift_tables, files, footprint, units
from .errors import HostError
from .validators import UNIT_KINDS

# write: artifacts; remove: artifacts of the old generation only; reload: own units to bring up or reload;
# stop: own units of the old generation only; restart: applications; reasons: for people; reread: systemd has to read
# its files again although we change none.
Plan = namedtuple("Plan", "write remove reload stop restart reasons facts reread")


def make(old, new, restart=True, seen=None):
    """A ``Plan`` out of the disk's and systemd's present state. ``old`` and ``new``: Bundle or None.

    ``seen``: what the active generation remembers (``drift.remembered``), {} where none is.
    """
    seen = seen or {}
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
    wanted_of = drift.properties(new) if new else {}
    names = set(applications) | set(own_new) | set(own_old) | set(wanted_of)
    facts = units.show(sorted(names), sorted(set().union(*wanted_of.values())))
    touched = {item.path for item in write + remove}
    reload = []
    for name in new.units if new else ():
        made_of = {item.path for item in new.artifacts if name in (item.unit, os.path.basename(item.path))}
        if not units.running(facts[name]):
            reasons.append("%s: not active" % name)
        elif made_of & touched and name.endswith(".service"):
            pass
        else:
            faults = [(name, why) for why in table_faults(new, name, seen)] + apparmor.faults(new, name, seen)
            if not faults:
                continue
            reasons += ["%s: %s" % fault for fault in faults]
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
    # What the process and systemd have is compared where files alone would say that all is well.
    found = drift.of_process(new, facts, seen) if new and old and old.digest == new.digest else []
    stale = [item for item in found if item["repair"] == "restart"]
    reasons += ["%s: %s" % (item["what"], item["why"]) for item in stale]
    unread = sorted(name for name in facts if facts[name].get("NeedDaemonReload") == "yes" and name in names)
    reasons += ["%s: systemd has not read its files again" % name for name in unread]
    changed_applications = [
        name
        for name in applications
        if any(item.kind == "systemd_dropin" and item.unit == name for item in write + remove)
        or misplaced(facts[name], removing=new is None)
        or (new is not None and name == new.unit and bool(stale))
        or name in profiled
    ]
    return Plan(
        write,
        remove,
        reload,
        [name for name in own_old if name not in own_new and units.known(facts[name])],
        [name for name in changed_applications if restart and units.running(facts[name])],
        reasons + ["%s: no longer wanted" % item.path for item in remove],
        facts,
        bool(unread or (stale and restart)),
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
    """{unit: {(family, table)}} of the tables that the bundle's rule files declare, by the unit that loads them."""
    found = {}
    for item, family, name in drift_tables.declared(bundle):
        found.setdefault(item.unit, set()).add((family, name))
    return found


def table_faults(bundle, unit, seen):
    """What is wrong with the tables that ``unit`` loads. Every "nft flush ruleset" on the host takes ours along and
    leaves no record, and anybody may add a rule: so look."""
    looks = [
        drift_tables.difference(bundle, item, family, name, seen)[0]
        for item, family, name in drift_tables.declared(bundle)
        if item.unit == unit
    ]
    return [why.replace("nftables table", "its nftables table") for why in looks if why]


def empty(plan):
    return not (plan.write or plan.remove or plan.reload or plan.stop or plan.restart or plan.reread)


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


def switch(plan, deadline=180.0, forgive=None):
    """Carry ``plan`` out. The order matters: files, manager, our units, applications, and only then what goes.

    An application lets go of a unit of ours before that unit stops: it requires it and would stop with it.
    ``forgive`` is told where an application does not start, and may let that pass.
    """
    unit_files = [item for item in plan.write if item.kind in UNIT_KINDS]
    dropins = [item for item in plan.remove if item.kind == "systemd_dropin"]
    with footprint.touching([item.path for item in plan.write], [item.path for item in dropins]):
        for item in plan.write:
            owner = files.user_id(item.owner), files.group_id(item.group)
            files.write(item.path, item.content, item.mode, *owner)
        for item in dropins:
            files.remove(item.path)
    if unit_files or dropins or plan.reread:
        units.reload_manager()
    # A slice cannot reload, and restarting it would stop every application in it: it only starts.
    units.start([name for name in plan.reload if not name.endswith(".service")])
    services = [name for name in plan.reload if name.endswith(".service")]
    # A unit whose own file changed runs as the old file said: what the new one reloads may not be there. Not one that
    # does not run yet: a restart, even of that, stops and starts the applications that require it (Requires=).
    changed = {os.path.basename(item.path) for item in unit_files}
    anew = [name for name in services if name in changed and units.running(plan.facts.get(name, {}))]
    units.start_anew(anew)
    units.start_or_reload([name for name in services if name not in anew])
    try:
        units.restart(plan.restart, deadline)
    except HostError as problem:
        if not forgive:
            raise
        forgive(problem)
    if plan.stop:
        units.stop(plan.stop)
    rest = [item for item in plan.remove if item not in dropins]
    with footprint.touching([], [item.path for item in rest]):
        for item in rest:
            files.remove(item.path)
    if any(item.kind in UNIT_KINDS for item in rest):
        units.reload_manager()


def check_owner(policy, unit, names, others):
    """Two policies for one unit would undo each other's drop-in: the second is refused.

    ``names``: all names that systemd has for the unit. A drop-in of an alias counts for the unit itself. ``others``:
    [(policy, Bundle)], several of one policy while it changes.
    """
    for name, other in others:
        if name != policy and (other.unit == unit or other.unit in names):
            known = unit if other.unit == unit else "%s (here also %s)" % (unit, other.unit)
            raise HostError(
                "%s is confined by policy %s already. Take that one off first: roll it back, or state: absent."
                % (known, name),
                state="refused",
            )


def refuse_running_job(plan):
    """A job that runs now would be killed in the middle, and started anew at a time that nobody has asked for."""
    for name in plan.restart:
        facts = plan.facts.get(name, {})
        if facts.get("Type") == "oneshot" and facts.get("ActiveState") == "activating":
            raise HostError(
                "%s (Type=oneshot) is at work right now, outside of the new sandbox: run this again when it has ended."
                % name,
                state="refused",
            )
