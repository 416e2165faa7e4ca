# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module, the guard and the controller killed at every step that lasts. The host's own files say what it has then:
the old generation or the new one, whole, and nobody repairs anything by hand.

KILLS=n stops after n kills, spread over all ways to die; without it each step is tried, and all again until 500.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import exam
from kill_trials import WAYS, Trials
from lab_host import LabHost, every

LEAST = 500
WANTED = int(os.environ.get("KILLS", "0"))
KIND = os.environ.get("BULKHEAD_LAB_KIND", "")


def rounds(trials: Trials, share: int) -> Iterator[None]:
    """Each way to die in turn at its next step, until every step of every way was tried and ``share`` is reached."""
    steps = dict.fromkeys(WAYS, 0)
    open_ = list(WAYS)
    stride = 1
    if WANTED:  # a short form looks at all of the road, in larger steps
        stride = max(1, round(trials.expected() / share))
    while trials.kills < share or (open_ and not WANTED):
        if not open_:
            open_ = list(WAYS)
        for way in list(open_):
            steps[way] += stride
            if not trials.one(way, steps[way]):
                steps[way] = 0
                open_.remove(way)
            yield


def work(name: str, folder: Path, share: int) -> Trials:
    trials = Trials(LabHost(name, folder, show=lambda _text: None))
    try:
        trials.begin()
        for _round in rounds(trials, share):
            pass
    except (AssertionError, OSError) as problem:
        trials.faults.append(f"{name}: {problem!r}"[:600])
    finally:
        trials.end()
    return trials


def main() -> None:
    hosts = every(KIND)
    if not hosts:
        exam.end("kill", {"hosts": 0}, ["no lab is up (make lab-up)"])
    began = time.monotonic()
    share = -(-(WANTED or LEAST) // len(hosts))
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        places = [Path(folder, name) for name in hosts]
        for place in places:
            place.mkdir()
        found = list(pool.map(lambda pair: work(*pair, share), zip(hosts, places, strict=True)))
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
    exam.end("kill", figures, short)


if __name__ == "__main__":
    main()
