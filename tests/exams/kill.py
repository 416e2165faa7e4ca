# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module, the guard and the controller killed at every step that lasts. The host's own files say what it has then:
the old generation or the new one, whole, and nobody repairs anything by hand.

KILLS=n: a short form of about n kills, spread over all ways to die. Without it each step is tried on each suite, and
all again until there are 500.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import exam
from kill_trials import WAYS, Trials
from lab_host import LabHost, at_once_on, every, inventory

LEAST = 500
WANTED = int(os.environ.get("KILLS", "0"))
# A way has about as many steps as it is said to have; a short form keeps to those that are surely there.
SURE = 0.8
KIND = os.environ.get("BULKHEAD_LAB_KIND", "")


def some(share: int, part: float) -> Iterator[tuple[str, int]]:
    """About ``share`` steps, at least one of every way, evenly over all of its road. ``part``: 0 to 1, whose steps."""
    for way, length in WAYS.items():
        many = -(-share * length // sum(WAYS.values()))
        for number in range(many):
            yield way, 1 + int((number + part) / many * length * SURE)


def tour(trials: Trials, member: int, members: int, enough: int | None) -> None:
    """Every step of every way, as far as there are ``enough`` kills."""
    for way in WAYS:
        for step in count(1 + member, members):
            if trials.kills == enough or not trials.one(way, step):
                break


def work(name: str, folder: Path, share: int, member: int, members: int) -> Trials:
    """``member`` of ``members`` hosts of one suite, which have its steps among them."""
    trials = Trials(LabHost(name, folder, show=lambda _text: None))
    try:
        trials.begin()
        if WANTED:
            for way, step in some(share, (member + 0.5) / members):
                trials.one(way, step)
        while trials.kills < share:
            tour(trials, member, members, share if WANTED else None)
    except (AssertionError, OSError) as problem:
        trials.faults.append(f"{name}: {problem!r}"[:600])
    finally:
        trials.end()
    return trials


def among(name: str, hosts: list[str]) -> tuple[int, int]:
    """Which of how many hosts of its suite this one is."""
    suites = {host: facts["bulkhead_lab_suite"] for host, facts in inventory().items()}
    same = [host for host in hosts if suites[host] == suites[name]]
    return same.index(name), len(same)


def main() -> None:
    hosts = every(KIND)
    if not hosts:
        exam.end("kill", {"hosts": 0}, ["no lab is up (make lab-up)"])
    began = time.monotonic()
    share = -(-(WANTED or LEAST) // len(hosts))
    found = at_once_on(hosts, lambda name, folder: work(name, folder, share, *among(name, hosts)))
    ways: Counter[str] = sum((one.by_way for one in found), Counter())
    figures = {
        "hosts": len(hosts),
        "kills": sum(one.kills for one in found),
        "by": dict(sorted(ways.items())),
        "old": sum(one.old for one in found),
        "new": sum(one.new for one in found),
        "neither": sum(one.neither for one in found),
        "repairs": sum(one.repairs for one in found),
        "seconds": round(time.monotonic() - began),
    }
    short = [fault for one in found for fault in one.faults]
    if figures["kills"] < (WANTED or LEAST):
        short.append(f"{figures['kills']} kills, and {WANTED or LEAST} were wanted")
    short += [f"nobody was killed: {way}" for way in WAYS if not ways[way]]
    exam.end("kill", figures, short)


if __name__ == "__main__":
    main()
