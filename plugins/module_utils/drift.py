# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a host is no longer what its generation says, by clause: files, manager, units, rules, process, features.

A finding is {"what", "why", "clauses", "repair"}; ``repair`` says what the next apply does about it: ``write``,
``reread`` (daemon-reload), ``reload`` (our own unit), ``restart`` (the application), ``recompile``, or "" for nothing.
"""

from __future__ import annotations

import json
import os

from . import (
    apparmor,
    drift_dropins,
    drift_kernel,
    drift_lines,
    drift_tables,
    files,
    readback,
    records,
    store,
    units,
)
from .errors import HostError
from .readback_facts import Facts

# Read-backs that tell what systemd and the main process have, beyond what files say.
_OF_MANAGER = ("unit_property",)
_OF_PROCESS = ("process_status", "mount_option", "cgroup_file")
_TIMES = ("ExecMainStartTimestampMonotonic",)
# Which mechanisms a fact of the host bears on; any other concerns what systemd carries.
_MECHANISMS = {"nft": "nftables", "resolvers": "nftables", "apparmor": "apparmor", "lsm": "apparmor"}


def finding(what, why, clauses, repair):
    return {"what": what, "why": why, "clauses": sorted(set(clauses)), "repair": repair}


# --- what a generation remembers about its own beginning ---


def remember(place, digest, facts=None, **fields):
    """Keep beside a generation what later looks compare with: ``facts`` (features), and fields of ``seen.json``."""
    folder = place.generation(digest)
    if not os.path.isdir(folder):
        return
    if facts is not None:
        records.write(os.path.join(folder, "features.json"), facts)
    if fields:
        records.write(os.path.join(folder, "seen.json"), {**remembered(place, digest), **fields})


def remembered(place, digest):
    return _json(place, digest, "seen.json")


def features_of(place, digest):
    """The features that the generation was compiled for; {} where an earlier version did not keep them."""
    return _json(place, digest, "features.json")


def _json(place, digest, name):
    return records.read(os.path.join(place.generation(digest), name)) or {}


# --- looking ---


def properties(bundle):
    """{unit: properties} that ``systemctl show`` is asked for on behalf of the read-backs."""
    wanted = {bundle.unit: set(_TIMES)}
    for item in bundle.readbacks:
        if item["kind"] == "unit_property":
            wanted.setdefault(item.get("unit") or bundle.unit, set()).add(item["key"])
    return wanted


def find(bundle, place, features=None, opened=()):
    """All findings. ``features``: this host's facts now; ``opened``: clauses that a debug overlay opens, left out."""
    from . import plan

    own = plan.own_units(bundle)
    wanted = properties(bundle)
    names = [bundle.unit] + [name for name in own + drift_dropins.asked(own) if name != bundle.unit]
    properties_asked = sorted({"DropInPaths"}.union(*wanted.values()))
    shown = units.show(names + sorted(set(wanted) - set(names)), properties_asked)
    seen = remembered(place, bundle.digest)
    found = of_files(bundle) + of_units(bundle, own, shown)
    found += of_tables(bundle, seen) + of_profiles(bundle, shown[bundle.unit], seen)
    found += of_process(bundle, shown, seen, opened)
    beside = drift_dropins.find(bundle, own, shown) + drift_kernel.reaching(bundle, shown[bundle.unit])
    found += [finding(*told, "") for told in beside]
    return found + (of_features(bundle, place, features) if features else [])


def of_files(bundle):
    found = []
    for item in bundle.artifacts:
        try:
            owner = files.user_id(item.owner), files.group_id(item.group)
        except HostError as problem:
            found.append(finding(item.path, str(problem), drift_lines.of_file(bundle, item.path), ""))
            continue
        why = files.difference(item.path, item.content, item.mode, *owner)
        if why:
            now = files.read(item.path) if why == "content" else None
            clauses = drift_lines.of_content(bundle, item, now)
            found.append(finding(item.path, why, clauses, "write"))
    return found


def of_units(bundle, own, shown):
    found = []
    for name in [bundle.unit] + own:
        if shown[name].get("NeedDaemonReload") == "yes":
            why = "systemd has not read its files again"
            found.append(finding(name, why, drift_lines.of_unit(bundle, name), "reread"))
    for name in bundle.units:
        if not units.running(shown[name]):
            found.append(finding(name, "not active", drift_lines.of_unit(bundle, name), "reload"))
    application = shown[bundle.unit]
    slices = [name for name in own if name.endswith(".slice")]
    if units.running(application) and slices and application.get("Slice") not in slices:
        why = "runs in %s, not in %s" % (application.get("Slice"), slices[0])
        found.append(finding(bundle.unit, why, drift_lines.of_unit(bundle, slices[0]), "restart"))
    return found


def of_tables(bundle, seen):
    """Rules that are gone, changed, or that match a control group which is no more."""
    found = []
    for item, family, name in drift_tables.declared(bundle):
        why, clauses = drift_tables.difference(bundle, item, family, name, seen)
        if why:
            found.append(finding("%s %s" % (family, name), why, clauses, "reload"))
    return found


def of_profiles(bundle, application, seen=None):
    """Profiles that the kernel does not hold, or otherwise than they were loaded; a process without its own."""
    found = []
    for name, why in apparmor.faults(bundle, seen=seen):
        paths = [item.path for item in bundle.artifacts if os.path.basename(item.path) == name]
        clauses = [clause for path in paths for clause in drift_lines.of_file(bundle, path)]
        found.append(finding(name, why, clauses, "reload"))
    wrong = apparmor.wrong_label(bundle, application)
    if wrong:
        clauses = [
            clause
            for item in bundle.artifacts
            if item.kind == "apparmor"
            for clause in drift_lines.of_file(bundle, item.path)
        ]
        found.append(finding(bundle.unit, wrong, clauses, "restart"))
    return found


def of_process(bundle, shown, seen, opened=()):
    """What systemd and the main process have where it is not what the generation's files ask for."""
    application = shown[bundle.unit]
    if not units.running(application):
        return []
    found = []
    if older(application, seen):
        clauses = [clause for clause in drift_lines.of_unit(bundle, bundle.unit) if clause not in opened]
        found.append(finding(bundle.unit, "its main process is older than its sandbox", clauses, "restart"))
    facts = known(bundle, shown)
    wanted = drift_kernel.compared(bundle, facts, application, _OF_MANAGER, _OF_PROCESS)
    wanted = [item for item in wanted if item["clause"] not in opened]
    known_bad = {tuple(entry) for entry in seen.get("unread", ())}
    for item in readback.evaluate(wanted, facts, bundle.unit, load=False):
        if not item["ok"]:
            why = "%s is %s, not %s" % (item["key"], item["got"] or "empty", item["want"])
            # What was so right after a restart of ours another restart does not put right.
            repair = "" if (item["kind"], item["key"]) in known_bad else "restart"
            found.append(finding(item["unit"], why, [item["clause"]], repair))
    return found


def known(bundle, shown):
    """Facts that need no further call of systemctl: a property that ``shown`` lacks is None."""
    facts = Facts()
    for unit, names in properties(bundle).items():
        names |= {"MainPID", "ControlGroup"}
        facts.know({unit: {**dict.fromkeys(names), **shown.get(unit, {})}})
    return facts


def older(application, seen):
    """Whether the main process was started before the files that confine it were last switched, in this boot."""
    began = application.get("ExecMainStartTimestampMonotonic", "")
    if seen.get("boot_id") != store.boot_id() or not began.isdigit() or int(began) == 0:
        return False
    return int(began) < int(seen.get("switched", 0))


def unread(bundle, shown):
    """(kind, key) of the read-backs that fail right after a start: a restart would not put them right."""
    facts = known(bundle, shown)
    wanted = [item for item in bundle.readbacks if item["kind"] in _OF_MANAGER + _OF_PROCESS]
    wanted += drift_kernel.derived(wanted, facts, bundle.unit)
    results = readback.evaluate(wanted, facts, bundle.unit, load=False)
    return sorted({(item["kind"], item["key"]) for item in results if not item["ok"]})


# --- features ---


def of_features(bundle, place, now):
    """Facts of this host that are not those that the generation was compiled for."""
    then = features_of(place, bundle.digest)
    changed = _changed(then, now) if then else []
    found = []
    for name, old, new in changed:
        mechanism = _MECHANISMS.get(name.partition(".")[0], "systemd")
        clauses = [
            verdict["clause"]
            for verdict in bundle.data.get("verdicts", ())
            if any(word.startswith(mechanism) for word in verdict.get("mechanisms", ()))
        ]
        why = "%s was %s and is %s" % (name, _short(old), _short(new))
        found.append(finding("features", why, clauses, "recompile"))
    return found


def _changed(then, now, prefix=""):
    """[(name, old, new)] of two trees of facts, deepest names that differ, sorted."""
    found = []
    for key in sorted(set(then) | set(now)):
        old, new = then.get(key), now.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            found += _changed(old, new, prefix + key + ".")
        else:
            found.append((prefix + key, old, new))
    return found


def _short(value):
    text = "not there" if value is None else json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
