# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the limits of the unit's control group refused: memory and tasks (cgroup-v2.rst, memory.events and pids.events).

The counters are gone when the unit stops, the kernel's lines stay: a unit that was killed for its memory shows there.
"""

from __future__ import annotations

import re

ROOT = "/sys/fs/cgroup"
_FORK = re.compile(r"cgroup: fork rejected by pids controller in (\S+)")
_NAMED = ",task_memcg="
_KILLED = re.compile(r"oom-kill:.*?,task_memcg=([^,]+),task=")
# Our own name of a counter -> (file, its line). cgroup v1 has a hierarchy for each controller.
COUNTERS = {
    "memory.killed": ("memory.events", "oom_kill"),
    "memory.reached": ("memory.events", "max"),
    "tasks.refused": ("pids.events", "max"),
}
LEGACY_COUNTERS = {
    "memory.killed": ("memory", "memory.oom_control", "oom_kill"),
    "tasks.refused": ("pids", "pids.events", "max"),
}


def group_of(unit, shown, slice_name):
    """The control group of a unit, as systemd tells it while the unit runs, or as its slice says (systemd.slice(5))."""
    if shown:
        return shown
    words = (slice_name or "system.slice")[: -len(".slice")].split("-")
    slices = ["-".join(words[: end + 1]) + ".slice" for end in range(len(words))] if any(words) else []
    return "/" + "/".join(slices + [unit])


def denial(text, group, container=False):
    """The facts of one kernel line about the control group of the unit or one below it, or None.

    In a container the kernel's path is the host's: what ends as the unit's own then may be another container's.
    """
    for pattern, act in ((_FORK, "processes"), (_KILLED, "memory")):
        found = pattern.match(text)
        if not found or text.count(_NAMED) > 1:  # a control group whose name looks like a second field
            continue
        path = found.group(1) + "/"
        if path.startswith(group + "/"):
            return _facts(act, "control_group")
        if container and group + "/" in path:
            return _facts(act, "group_name")
    return None


def _facts(act, attribution):
    return {"mechanism": "cgroup", "act": act, "enforced": True, "attribution": attribution}


def counters(group, root=ROOT):
    """{our name: count} of the running unit; {} where it does not run or has no such controller."""
    found = {}
    if not group:
        return found
    places = [(name, "%s%s/%s" % (root, group, file), line) for name, (file, line) in COUNTERS.items()]
    places += [
        (name, "%s/%s%s/%s" % (root, folder, group, file), line)
        for name, (folder, file, line) in LEGACY_COUNTERS.items()
    ]
    for name, path, line in places:
        try:
            with open(path) as stream:
                lines = dict(text.split() for text in stream if len(text.split()) == 2)
        except OSError:
            continue
        if line in lines:
            found[name] = int(lines[line])
    return found
