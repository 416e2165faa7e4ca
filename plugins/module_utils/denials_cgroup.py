# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the limits of the unit's control group refused: memory and tasks (cgroup-v2.rst, memory.events and pids.events).

The counters are gone when the unit stops, the kernel's lines stay: a unit that was killed for its memory shows there.
"""

from __future__ import annotations

import re

ROOT = "/sys/fs/cgroup"
_FORK = re.compile(r"cgroup: fork rejected by pids controller in (\S+)")
_KILLED = re.compile(r"oom-kill:.*?task_memcg=([^,]+),task=(.*?),pid=(\d+),uid=(\d+)")
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


def denial(text, group_of_unit):
    """The facts of one kernel line about a control group of the unit, or None."""
    fork = _FORK.search(text)
    if fork and _ours(fork.group(1), group_of_unit):
        return _facts("processes")
    killed = _KILLED.search(text)
    if killed and _ours(killed.group(1), group_of_unit):
        return _facts("memory")
    return None


def _facts(act):
    return {"mechanism": "cgroup", "act": act, "enforced": True, "attribution": "control_group"}


def _ours(path, ends):
    """Whether a control group is the unit's or lies below it. ``ends``: what its path ends in, slice and unit."""
    return path.endswith("/" + ends) or "/%s/" % ends in path


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
