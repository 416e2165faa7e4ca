# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel holds for the main process where a generation's read-backs ask only systemd. No program is run.

What cannot be read here (another kernel, cgroup v1) is left out: a gap is better than drift that is none.
"""

from __future__ import annotations

import os
import stat

from . import drift_lines, readback, readback_facts

# Properties of systemd and the lines of /proc/PID/limits that they become (systemd.exec(5), proc(5)).
LIMITS = {
    "LimitCORE": "Max core file size",
    "LimitNOFILE": "Max open files",
    "LimitFSIZE": "Max file size",
}
CGROUP_FILES = {"MemorySwapMax": "memory.swap.max"}
CAP_SYS_RESOURCE = 24  # may raise its own hard limits: capabilities(7)


def there(application, facts, unit):
    """Whether the unit has a process to look at: a main one, or where it names none any of an active unit.

    While it starts, what is in its control group may be a command that systemd leaves outside of the sandbox.
    """
    if application.get("MainPID", "0") != "0":
        return True
    return application.get("ActiveState") == "active" and facts.main_pid(unit) != 0


def compared(bundle, facts, application, of_manager, of_process):
    """The read-backs of these kinds, and what follows from them; those of a process only where there is one."""
    if not there(application, facts, bundle.unit):
        return [item for item in bundle.readbacks if item["kind"] in of_manager]
    found = [item for item in bundle.readbacks if item["kind"] in of_manager + of_process]
    return found + derived(found, facts, bundle.unit)


def derived(readbacks, facts, unit):
    """Read-backs of the kernel for those of systemd's properties: a limit that was raised since, by prlimit(1) say."""
    found = []
    for item in readbacks:
        if item["kind"] == "unit_property" and item.get("unit", "") in ("", unit):
            key = item["key"]
            if key in LIMITS and not _raises(facts, unit):
                found.append(dict(item, kind="process_limit", key=LIMITS[key], relation="at_most"))
            elif key in CGROUP_FILES:
                found.append(dict(item, kind="cgroup_file", key=CGROUP_FILES[key], relation="at_most"))
    return [item for item in found if readback.KINDS[item["kind"]](facts, item, unit) is not None]


def _raises(facts, unit):
    bound = facts.status(facts.main_pid(unit)).get("CapBnd", "")
    return not bound or bool(int(bound, 16) >> CAP_SYS_RESOURCE & 1)


def reaching(bundle, application):
    """[(path, why, clauses)] of denied paths that the main process has all the same: they came, or were replaced."""
    pid = int(application.get("MainPID") or 0)
    why = "the main process reaches it: restart the service"
    return [(path, why, behind) for path, behind in denied(bundle) if reached(pid, path)]


def denied(bundle):
    """[(path, {clause})] of ``filesystem.deny`` that only a mount keeps; [] where AppArmor denies them as well."""
    if any(item.kind == "apparmor" for item in bundle.artifacts):
        return []
    found = []
    for item in bundle.artifacts:
        if item.kind != "systemd_dropin" or item.unit != bundle.unit:
            continue
        clauses = drift_lines.by_line(bundle, item.path)
        for number, line in enumerate(item.content.decode().splitlines(), 1):
            behind = {name for name in clauses.get(number, ()) if name.startswith("filesystem.deny")}
            path = line.partition("InaccessiblePaths=-")[2].replace("%%", "%")
            if behind and path.startswith("/"):  # a name in quotes is left to the probes
                found.append((path, behind))
    return found


def reached(pid, path):
    """Whether the process has the host's own file or folder at ``path``: nothing is mounted over it."""
    try:
        # /proc/PID/root follows a link with an absolute target from our own root.
        if not pid or os.path.realpath(path) != path:
            return False
        outside = os.stat(path)
        inside = os.stat("%s/%d/root%s" % (readback_facts.PROC, pid, path))
    except OSError:
        return False
    same = (outside.st_dev, outside.st_ino) == (inside.st_dev, inside.st_ino)
    return same and stat.S_IMODE(inside.st_mode) != 0
