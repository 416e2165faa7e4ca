# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What network clauses hold on Debian 12 and 13, seen from the other end: what the policy denies does not arrive, what
it allows does. First everything is tried unconfined, so that a probe that cannot arrive anyway counts for nothing.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import exam
from lab_host import LabHost, at_once, inventory
from network_lines import PLACE, LineError
from network_road import Road
from network_trial import Findings

KINDS = 60
# Containers share the kernel of this machine: good for a look at the exam itself, not at Debian.
KIND = os.environ.get("BULKHEAD_LAB_KIND", "qemu")
WORDS = ("passed", "stopped", "declared", "leak", "false block")
began = time.monotonic()


def road(name: str, peer: str, folder: Path) -> Findings:
    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {name}: {text}", flush=True)

    def quiet(_text: str) -> None:
        pass

    one = Road(LabHost(name, folder, show=quiet), LabHost(peer, folder, show=quiet), folder, say)
    try:
        one.run()
    except (AssertionError, LineError, OSError, subprocess.SubprocessError) as problem:
        one.found.faults.append(f"{name}: {problem}")
        say("".join(traceback.format_exception(problem)[-3:]))
    return one.found


def choose() -> tuple[dict[str, str], str]:
    """One host of each suite, and the peer: the first machine that is left over."""
    chosen: dict[str, str] = {}
    peer = ""
    for name, variables in inventory().items():
        if variables["bulkhead_lab_kind"] != KIND:
            continue
        if variables["bulkhead_lab_suite"] in chosen:
            peer = peer or name
        chosen.setdefault(variables["bulkhead_lab_suite"], name)
    return chosen, peer


def table(found: dict[str, Findings]) -> None:
    """Every kind and how often it ended how, by suite."""
    names = sorted({name for one in found.values() for name in (*one.table, *one.mute)})
    print("| Probe | " + " | ".join(found) + " |\n|---|" + "---|" * len(found))
    for name in names:
        cells = []
        for one in found.values():
            count = one.table.get(name, Counter())
            cells.append(
                ", ".join(f"{word} {count[word]}" for word in WORDS if count[word]) or "not on this host"
            )
        print(f"| {name} | " + " | ".join(cells) + " |")


def main() -> None:
    chosen, peer = choose()
    missing = {"bookworm", "trixie"} - set(chosen)
    if missing or not peer:
        exam.end("network", {"missing": sorted(missing), "peer": peer}, ["the lab has not the hosts for it"])
    with tempfile.TemporaryDirectory() as folder:
        found = at_once(chosen, folder, lambda name, place: road(name, peer, place))
        LabHost(peer, Path(folder)).ssh(f"rm -rf {PLACE}")
    table(found)
    faults = []
    for suite, one in found.items():
        faults += [f"{suite}, leak: {text}" for text in one.leaks]
        faults += [f"{suite}, false block: {text}" for text in one.blocks]
        faults += [f"{suite}: {text}" for text in one.faults]
        if len(one.kinds) < KINDS:
            faults.append(f"{suite}: {len(one.kinds)} kinds of probe, not {KINDS}")
    figures: dict[str, Any] = {
        suite: {
            "kinds": len(one.kinds), "acts": one.acts, "leaks": len(one.leaks), "false_blocks": len(one.blocks),
            "declared": sorted(one.declared), "not_on_this_host": sorted(one.mute),
        }
        for suite, one in found.items()
    }  # fmt: skip
    exam.end(
        "network", {**figures, "faults": len(faults), "seconds": round(time.monotonic() - began)}, faults
    )


if __name__ == "__main__":
    main()
