# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the main process at least as confined as the probe was?

A probe shows what a fresh start of the service gets. The main process may be older than the policy:
``systemctl show`` prints new values after daemon-reload while the process keeps its old sandbox. A main
process that is looser than the probe is therefore a failure of its own. It may be tighter: daemons lock
themselves down further.
"""

from __future__ import annotations

from .readback_facts import RESTRICTIVE, covering, parse_mounts

# Directories of systemd's own that differ from start to start and from unit to unit.
OWN = ("/run/credentials/", "/run/systemd/incoming")
SHOWN = 4  # differences that are named; the rest is counted


def parse_status(text):
    return {
        name: value.strip() for name, _colon, value in (line.partition(":") for line in text.splitlines())
    }


def _number(status, name, base=10):
    try:
        return int(status.get(name, ""), base)
    except ValueError:
        return 0


def compare_status(main, probe):
    """Differences of /proc/PID/status (proc(5)) where main is looser, as sentences."""
    looser = []
    extra = _number(main, "CapBnd", 16) & ~_number(probe, "CapBnd", 16)
    if extra:
        looser.append("its bounding set has capabilities %#x more" % extra)
    if _number(main, "NoNewPrivs") < _number(probe, "NoNewPrivs"):
        looser.append("NoNewPrivs is not set")
    if _number(main, "Seccomp") < _number(probe, "Seccomp"):
        looser.append("it has no system call filter")
    elif _number(main, "Seccomp_filters") < _number(probe, "Seccomp_filters"):
        pair = (_number(main, "Seccomp_filters"), _number(probe, "Seccomp_filters"))
        looser.append("it has %d system call filters instead of %d" % pair)
    return looser


def compare_mounts(main, probe, openings=()):
    """Mount points where main has fewer restrictions, or another file system, than the probe had.

    ``openings``: paths that were opened for the probe program only.
    """
    looser = []
    for point in sorted({mount[0] for mount in main} | {mount[0] for mount in probe}):
        if point in openings or point.startswith(OWN):
            continue
        mine, theirs = covering(main, point), covering(probe, point)
        if mine is None or theirs is None:
            continue
        lost = [word for word in RESTRICTIVE if word in theirs[1] and word not in mine[1]]
        if lost:
            looser.append("%s lacks %s" % (point, ", ".join(lost)))
        elif theirs[0] == point and not _same(mine[2], theirs[2]):
            looser.append("%s shows %s and not %s" % (point, " ".join(mine[2]), " ".join(theirs[2])))
    return looser


def _same(mine, theirs):
    """The same file system; two units' private /tmp are two directories of one kind."""
    private = all("/systemd-private-" in sort[0] for sort in (mine, theirs))
    return mine == theirs or (private and mine[1:] == theirs[1:])


def compare(main, probe, openings=(), same_group=True):
    """``main`` and ``probe``: dicts of the texts ``status``, ``attr/current``, ``cgroup``, ``mountinfo``."""
    looser = compare_status(parse_status(main["status"]), parse_status(probe["status"]))
    if main["attr/current"] != probe["attr/current"]:
        pair = (main["attr/current"] or "none", probe["attr/current"] or "none")
        looser.append("its security label is %s and not %s" % pair)
    if same_group and not probe["cgroup"].startswith(main["cgroup"]):
        looser.append("its control group is %s and not %s" % (main["cgroup"], probe["cgroup"]))
    looser += compare_mounts(parse_mounts(main["mountinfo"]), parse_mounts(probe["mountinfo"]), openings)
    return looser


def explain(looser, unit):
    """One sentence for people."""
    more = "; and %d more" % (len(looser) - SHOWN) if len(looser) > SHOWN else ""
    text = "; ".join(looser[:SHOWN]) + more
    return "the main process of %s runs an older sandbox than a fresh start gets, restart it: %s" % (
        unit,
        text,
    )


def facts_of(pid):
    """The texts of a living process, like the probe program reports them of itself."""
    facts = {}
    for name in ("status", "attr/current", "cgroup", "mountinfo"):
        try:
            with open("/proc/%d/%s" % (pid, name), encoding="utf-8", errors="surrogateescape") as stream:
                facts[name] = stream.read().rstrip("\0\n")
        except OSError:
            facts[name] = ""
    return facts
