# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU machines whose power is cut at random moments: of a change, of its soak, of the way back, and of the recovery
from the cut before. After the boot their own files say: the old generation or the new one, whole, before basic.target,
and the guard had decided within a second of its start.

CUTS=300 SEED=1, over all QEMU hosts of the lab at once.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import exam
from kill_trials import FILES, OTHER, QUIET, STATE, chain_fault
from lab_host import at_once_on, every
from powercut_host import Boot, PowerHost, seconds

CUTS, SEED = int(os.environ.get("CUTS", "300")), int(os.environ.get("SEED", "1"))
WAYS = {"changing": 4, "going back": 2, "soaking": 1}
AT_ONCE = 8  # copies of one change
AGAIN = 0.5  # of the boots after a cut end with another one
DECIDES, DECIDED = {"reverting.json", "abandoned.json", "confirmed.json"}, 1.0


@dataclass
class Change:
    """``told``: what the controller had said of it at the moment of the cut, with the lease's end."""

    way: str
    old: str
    new: str
    told: str = ""


class Cuts:
    def __init__(self, host: PowerHost) -> None:
        self.host, self.faults, self.ways = host, list[str](), Counter[str]()
        self.ended = Counter[str]()  # what the receipts end with
        self.decisions, self.recoveries, self.cuts = list[float](), list[float](), 0
        self.random = random.Random(f"{SEED}-{host.name}")
        self.has: dict[str, str] = {}  # digest -> files
        self.span: dict[str, float] = {}  # seconds, of which moments are drawn
        self.boot_seconds = 20.0

    def begin(self) -> None:
        host = self.host
        assert host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", "somebody uses this host"
        host.ssh("systemctl enable -q --now nginx.service")
        self.folders = [str(host.policy("one")), str(host.policy("two", OTHER))]
        for folder in self.folders:
            began = time.monotonic()
            answer, text = host.run(policies_dirs=[folder])
            assert not answer.get("failed"), text[-400:]
            self.span["changing"] = time.monotonic() - began
            self.has[answer["digest"]] = host.ssh(FILES)
        assert len(set(self.has.values())) == 2, "the generations cannot be told apart"
        host.prepare()
        began = time.monotonic()
        self.start("going back", self.folders[0], "revert")[0].communicate(timeout=600)
        assert host.until(lambda: host.ssh(QUIET) == "quiet", 120), "it does not go back"
        self.span["going back"] = time.monotonic() - began
        self.span["soaking"] = self.span["changing"] + 8

    def start(self, way: str, folder: str, lapse: str) -> tuple[Any, Path]:
        nobody = ("-e", f"ansible_ssh_executable={self.host.ssh_program('exit 255')}")
        if way == "going back":
            return self.host.start(*nobody, policies_dirs=[folder], confirm_within=5)
        if way == "soaking":
            return self.host.start(policies_dirs=[folder], lease=6, lapse=lapse)
        return self.host.start(policies_dirs=[folder])

    def one(self, share: int) -> None:
        """One change, the disk at some of its moments, and a boot from each."""
        host, draw = self.host, self.random
        old = host.ssh(f"cat {STATE}/active")
        new = next(digest for digest in self.has if digest != old)
        way, lapse = draw.choices(list(WAYS), list(WAYS.values()))[0], draw.choice(("revert", "hold"))
        least = {"changing": 0.1, "going back": 0.4, "soaking": 0.5}[way] * self.span[way]
        moments = sorted(draw.uniform(least, 1.05 * self.span[way]) for _copy in range(AT_ONCE))
        began = time.monotonic()
        process, answer = self.start(way, self.folders[list(self.has).index(new)], lapse)
        taken: list[tuple[Path, Change]] = []
        for number, moment in enumerate(moments):
            time.sleep(max(0.0, began + moment - time.monotonic()))
            said = json.loads(answer.read_text() or "{}").get("state", "") if answer.exists() else ""
            disk = host.work / f"{number}.qcow2"
            host.disk_now(disk)
            taken.append((disk, Change(way, old, new, said and f"{said}, {lapse}")))
        process.communicate(timeout=600)
        assert host.until(lambda: host.ssh(QUIET) == "quiet", 120), "it stays pending"
        for disk, change in taken:
            if self.cuts < share:
                self.boot(disk, change)
            for path in host.work.glob(f"{disk.name}*"):
                path.unlink()

    def boot(self, disk: Path, change: Change) -> None:
        resets = list[float]()
        while self.random.random() < AGAIN:
            resets.append(self.random.uniform(0.1, 1) * self.boot_seconds)
        boot = Boot(self.host.machine_from(disk), disk)
        found = boot.look(resets)
        self.boot_seconds = boot.seconds
        self.cuts += 1 + len(resets)
        self.ways += Counter({change.way: 1, "recovering": len(resets)})
        self.judge(
            f"{self.host.name}, cut {self.cuts} ({change.way}, {1 + len(resets)} in a row)", change, found
        )

    def judge(self, where: str, change: Change, found: Mapping[str, str]) -> None:
        active, faults = found["active"], list[str]()
        lines = found["receipts"].splitlines()
        try:
            self.ended[json.loads(lines[-1])["event"]] += 1
        except ValueError:
            self.ended["torn"] += 1
        if self.has.get(active) != found["files"]:
            faults.append(f"active '{active[:12]}', and its files are others: {found['files'][:500]}")
        kept = {
            "confirmed, revert": "new",
            "confirmed, hold": "new",
            "soaking, hold": "new",
            "soaking, revert": "old",
        }
        if active != getattr(change, kept.get(change.told, ""), active):
            faults.append(f"{change.told}, and it is the {'old' if active == change.old else 'new'} one")
        if found["records"]:
            faults.append(f"still under way after the boot: {found['records']}")
        if fault := chain_fault(found["receipts"]):
            faults.append(f"receipts: {fault}")
        faults += self.recovery(found)
        self.faults += [f"{where}: {fault}" for fault in faults]
        print(f"{where}: {'old' if active == change.old else 'new'} {' '.join(faults)}", flush=True)

    def recovery(self, found: Mapping[str, str]) -> list[str]:
        """Where there was something to recover from: before basic.target, and decided within a second."""
        began = seconds(found["recover"], "ExecMainStartTimestampMonotonic")
        ended = seconds(found["recover"], "ExecMainExitTimestampMonotonic")
        if not began:
            return []
        reached = seconds(found["target"], "ActiveEnterTimestampMonotonic")
        moves = [line.split() for line in found["moves"].splitlines() if line.startswith(found["boot"])]
        self.recoveries.append(ended - began)
        faults = []
        if not 0 < ended <= reached:
            faults.append(f"recovery ended at {ended} s, basic.target came at {reached} s")
        if len(moves) < 2 or moves[0][2] != "start":
            faults.append(f"the recovery ran and moved nothing: {moves}")
        elif moves[1][2] in DECIDES:  # else a boot before had decided
            self.decisions.append(float(moves[1][1]) - float(moves[0][1]))
            if self.decisions[-1] > DECIDED:
                faults.append(f"the guard decided after {self.decisions[-1]:.2f} s")
        return faults

    def end(self) -> None:
        self.host.clear()
        answer, text = self.host.run(state="absent", epoch=2**31)
        if answer.get("failed"):
            self.faults.append(f"{self.host.name}: the removal failed: {text[-300:]}")


def work(name: str, folder: Path, share: int) -> Cuts:
    cuts = Cuts(PowerHost(name, folder, show=lambda _text: None))
    try:
        cuts.begin()
        while cuts.cuts < share:
            cuts.one(share)
        cuts.end()
    except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as problem:
        cuts.faults.append(f"{name}: {problem!r}"[:600])
        print(cuts.faults[-1], flush=True)
    return cuts


def middle(numbers: list[float]) -> list[float]:
    """Median and greatest."""
    return [round(sorted(numbers)[len(numbers) // 2], 2), round(max(numbers), 2)] if numbers else []


def main() -> None:
    hosts = every("qemu")
    if not hosts:
        exam.end("powercut", {"hosts": 0}, ["no QEMU machine is up (make lab-up KIND=qemu)"])
    began, share = time.monotonic(), -(-CUTS // len(hosts))
    found = at_once_on(hosts, lambda name, folder: work(name, folder, share))
    decisions = sum((one.decisions for one in found), list[float]())
    figures = {
        "hosts": len(hosts),
        "cuts": sum(one.cuts for one in found),
        "at": dict(sorted(sum((one.ways for one in found), Counter()).items())),
        "last receipt": dict(sorted(sum((one.ended for one in found), Counter()).items())),
        "decisions": len(decisions),
        "decided after": middle(decisions),
        "recovered in": middle(sum((one.recoveries for one in found), list[float]())),
        "seconds": round(time.monotonic() - began),
    }
    short = [fault for one in found for fault in one.faults]
    if figures["cuts"] < CUTS:
        short.append(f"{figures['cuts']} cuts of {CUTS}")
    if not decisions:
        short.append("no recovery was seen")
    exam.end("powercut", figures, short)


if __name__ == "__main__":
    main()
