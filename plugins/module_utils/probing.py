# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify one policy on this host: read back, probe, judge. Nothing that it does stays.

The bundle comes from the active generation (``store``): the host is the truth about what it runs.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time

from . import bundles, command, features, overlay_state, probing_judge, probing_unit, readback, survey
from .errors import HostError
from .probing_confinement import compare, explain, facts_of
from .probing_session import Outside, Session
from .probing_trials import Trials
from .readback_facts import Facts
from .store import Store
from .units import parse_show

BASE = "/run/bulkhead"
FORMAT = 1
WATCHED = ("ActiveState", "Type", "MainPID", "InvocationID")
LIBRARIES = ("/usr/lib/", "/usr/lib64/")  # whose files a profile lets every program read and map
# Modules that only some acts need; loading them shows which libraries have to be executable inside.
HEAVY = {"syscall": ("ctypes",), "mmap_wx": ("mmap",)}


def active_bundle(policy):
    """The bundle of the active generation. HostError where the policy is not applied here."""
    state = Store(policy)
    bundle = state.load(state.active())
    if bundle is None:
        raise HostError("policy %r is not applied on this host, so there is nothing to verify." % policy)
    return bundle.data


def show(unit):
    done = command.must(["systemctl", "show", "-p", ",".join(WATCHED), "--", unit], "reading %s" % unit)
    return parse_show(done.stdout, [unit])[unit]


def executables(maps):
    """Files that a process has mapped executable (/proc/PID/maps), sorted."""
    lines = (line.split(None, 5) for line in maps.splitlines())
    return sorted(
        {fields[5] for fields in lines if len(fields) == 6 and "x" in fields[1] and fields[5][0] == "/"}
    )


def platform_name():
    """What people call this system: "Debian GNU/Linux 12 (bookworm), systemd 252"."""
    name = "Linux"
    try:
        with open("/etc/os-release", encoding="utf-8") as stream:
            pretty = [
                line.partition("=")[2].strip().strip('"')
                for line in stream
                if line.startswith("PRETTY_NAME=")
            ]
        name = (pretty or [name])[0]
    except OSError:
        pass
    version = command.run(["systemctl", "--version"]).stdout.split()
    return "%s, systemd %s" % (name, version[1]) if len(version) > 1 else name


class Findings:
    """What one run of the probes gave: ``probes``, ``troubles`` for all clauses, and how it was done."""

    def __init__(self):
        self.method = "none"
        self.probes = []
        self.troubles = []
        self.openings = []


def _record(probe, decision):
    ok = None if decision.got == "unknown" else decision.got == probe["expect"]
    entry = {key: probe.get(key, "") for key in ("id", "clause", "action", "target", "expect", "why")}
    entry.update(got=decision.got, ok=ok, control=decision.control, note=decision.note)
    return entry


def _untried(probe, note, ok=None):
    entry = {key: probe.get(key, "") for key in ("id", "clause", "action", "target", "expect", "why")}
    entry.update(got="unknown", ok=ok, control="", note=note)
    return entry


def run_probes(bundle, facts, method):
    """Run all probes of a bundle through one reload (or clone) of its unit."""
    found = Findings()
    unit, probes = bundle["workload"]["unit"], bundle["probes"]
    before = show(unit)
    if before.get("ActiveState") not in ("active", "reloading"):
        found.troubles.append(
            "%s is %s: start it, then verify again" % (unit, before.get("ActiveState", "unknown"))
        )
    if not probes or found.troubles:
        found.probes = [_untried(probe, "it was not tried") for probe in probes]
        return found
    chosen = probing_unit.METHODS[probing_unit.pick_method(before) if method == "auto" else method]
    folder = os.path.join(BASE, "probe-%s" % bundle["policy"])
    os.makedirs(BASE, mode=0o755, exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder, 0o700)
    outside = inside = None
    try:
        python = os.path.realpath(sys.executable)
        _check_library(bundle, os.path.dirname(os.path.realpath(os.__file__)))
        outside = Outside(os.path.join(folder, "outside"), python)
        heavy = sorted({name for probe in probes for name in HEAVY.get(probe["action"], ())})
        found.openings = executables(outside.ask("confinement", load=heavy)["maps"])
        inside = Session(os.path.join(folder, "inside"))
        found.method = chosen.method
        with chosen(unit, inside, python, found.openings):
            _talk(bundle, facts, found, inside, outside, probes)
    except HostError as error:
        found.troubles.append("the probes could not be run: %s" % error)
    finally:
        for session in (outside, inside):
            if session:
                session.close()
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # others may use it
            os.rmdir(BASE)
    _check_untouched(unit, before, found)
    tried = {entry["id"] for entry in found.probes}
    found.probes += [_untried(probe, "it was not tried") for probe in probes if probe["id"] not in tried]
    return found


def _check_library(bundle, folder):
    """Under an AppArmor profile only an interpreter whose library every program may read can start."""
    profiled = any(item["kind"] == "apparmor" for item in bundle.get("artifacts", ()))
    if profiled and not folder.startswith(LIBRARIES):
        raise HostError(
            "Python's library in %s is closed by the policy's AppArmor profile: set ansible_python_interpreter to "
            "the distribution's own Python" % folder
        )


def _talk(bundle, facts, found, inside, outside, wanted):
    unit = bundle["workload"]["unit"]
    mine = inside.ask("confinement")
    pid = facts.main_pid(unit)
    if pid:
        same_group = found.method == "reload"
        looser = compare(facts_of(pid), mine, found.openings, same_group)
        if looser:
            found.troubles.append(explain(looser, unit))
    tables = sorted(
        {item["key"] for item in bundle["readbacks"] if item["kind"] in ("nft_rule", "slice_match")}
    )
    no_new = "NoNewPrivs:\t1" in mine["status"]
    trials = Trials(inside, outside, facts, tables, unit, found.openings, no_new)
    for probe in wanted:
        found.probes.append(_record(probe, trials.attempt(probe)))


def _check_untouched(unit, before, found):
    """The service must have lived through it. If it was restarted meanwhile, it has the probe's openings."""
    after = probing_unit.settle(unit, show)
    if after.get("InvocationID") != before.get("InvocationID") and found.method == "reload":
        command.run(["systemctl", "try-restart", "--", unit], timeout=180)
        found.troubles.append(
            "%s was restarted by something while it was probed; it was restarted once more" % unit
        )
    elif after.get("MainPID") != before.get("MainPID") or after.get("ActiveState") != "active":
        pair = (unit, after.get("ActiveState"), after.get("MainPID"), before.get("MainPID"))
        found.troubles.append("%s is %s after the probes, main process %s instead of %s" % pair)


def verify(bundle, host, method="auto", probes=True, surveyed=None):
    """Evidence of one policy on this host, as plain data (docs/contracts.md, Evidence).

    ``surveyed``: the answer of ``survey`` for the policy, where the host was just asked.
    """
    facts = Facts()
    unit = bundle["workload"]["unit"]
    readbacks = readback.evaluate(bundle["readbacks"], facts, unit)
    # Audit mode denies nothing: a probe would show that of a service whose sandbox is open.
    found = run_probes(bundle, facts, method) if probes and bundle["mode"] != "audit" else Findings()
    clauses = probing_judge.judge(bundle["verdicts"], readbacks, found.probes, found.troubles)
    if surveyed and surveyed["active"] == bundle["digest"]:
        debug, drifts = surveyed["debug"], surveyed["drift"]
    else:
        debug, drifts = _besides(bundle)
    probing_judge.opened(
        clauses, debug.get("clauses") or (), overlay_state.sentence(debug) if debug["open"] else ""
    )
    probing_judge.drifted(clauses, drifts)
    return {
        "format": FORMAT,
        "host": host,
        "policy": bundle["policy"],
        "version": str(bundle.get("version", "")),
        "mode": bundle["mode"],
        "digest": bundle["digest"],
        "policy_digest": bundle.get("policy_digest", ""),
        "unit": unit,
        "features_name": platform_name(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "method": found.method,
        "openings": ["ExecPaths=%s" % path for path in found.openings],
        "troubles": found.troubles,
        "notes": [overlay_state.sentence(debug)] if debug["open"] else [],
        "debug": debug,
        "drift": drifts,
        "clauses": clauses,
    }


def _besides(bundle):
    """The debug overlay, and the drift of the host from the generation that is active; none for any other bundle."""
    place = Store(bundle["policy"])
    unit = bundle["workload"]["unit"]
    debug = overlay_state.facts(bundle["policy"], unit)
    active = place.load(place.active()) if place.exists() else None
    if active is None or active.digest != bundle["digest"]:
        return debug, []
    return debug, survey.look(active, place, features.collect(unit, bundles.paths(active)), debug)
