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
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import exam
from kill_trials import FILES, OTHER, QUIET, chain_fault
from lab_host import at_once_on, every
from powercut_host import PowerHost, seconds

CUTS, SEED = int(os.environ.get("CUTS", "300")), int(os.environ.get("SEED", "1"))
WAYS = {"changing": 4, "going back": 2, "soaking": 1}
AGAIN = 0.5  # of the boots after a cut end with another one
DECIDES = {"reverting.json", "reverted.json", "abandoned.json", "confirmed.json", "revert_failed.json"}


class Cuts:
    def __init__(self, host: PowerHost) -> None:
        self.host, self.faults, self.ways = host, list[str](), Counter[str]()
        self.ended = Counter[str]()  # what the receipts end with
        self.decisions, self.recoveries, self.cuts = list[float](), list[float](), 0
        self.random = random.Random(f"{SEED}-{host.name}")
        self.has: dict[str, str] = {}  # digest -> files
        self.span: dict[str, float] = {}  # seconds, of which a moment is drawn

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
        host.hook()
        began = time.monotonic()
        self.start("going back", self.folders[0], "revert")[0].communicate(timeout=600)
        assert host.until(lambda: host.ssh(QUIET) == "quiet", 120), "it does not go back"
        self.span["going back"] = time.monotonic() - began

    def start(self, way: str, folder: str, lapse: str) -> tuple[Any, Path]:
        nobody = ("-e", f"ansible_ssh_executable={self.host.ssh_program('exit 255')}")
        if way == "going back":
            return self.host.start(*nobody, policies_dirs=[folder], confirm_within=5)
        if way == "soaking":
            return self.host.start(policies_dirs=[folder], lease=6, lapse=lapse)
        return self.host.start(policies_dirs=[folder])

    def one(self) -> None:
        host = self.host
        before = host.look()
        old = before["active"]
        new = next(digest for digest in self.has if digest != old)
        folder = self.folders[list(self.has).index(new)]
        way = self.random.choices(list(WAYS), list(WAYS.values()))[0]
        lapse = self.random.choice(("revert", "hold"))
        process, answer = self.start(way, folder, lapse)
        if way == "soaking":
            process.communicate(timeout=600)
            time.sleep(self.random.uniform(0, 9))
        else:
            least = 0.1 if way == "changing" else 0.4
            time.sleep(self.random.uniform(least, 1.1) * self.span[way])
        told = json.loads(answer.read_text()).get("state", "") if answer.exists() else ""
        host.cut()
        process.kill()
        process.communicate()
        many = 1
        while self.random.random() < AGAIN:
            time.sleep(self.random.uniform(0.1, 1) * host.boot_seconds)
            host.cut()
            many += 1
        host.back(before["boot"])
        self.cuts, self.ways = self.cuts + many, self.ways + Counter({way: 1, "recovering": many - 1})
        where = f"{host.name}, cut {self.cuts} ({way}, {many} in a row)"
        self.judge(where, old, new, told + lapse, host.look())

    def judge(self, where: str, old: str, new: str, told: str, found: Mapping[str, str]) -> None:
        active, faults = found["active"], list[str]()
        lines = found["receipts"].splitlines()
        try:
            self.ended[json.loads(lines[-1])["event"]] += 1
        except ValueError:
            self.ended["torn"] += 1
        if self.has.get(active) != found["files"]:
            faults.append(f"active '{active[:12]}', and its files are others: {found['files'][:500]}")
        if told.startswith("confirmed") and active != new:
            faults.append("confirmed, and it is the old one")
        if told == "soakingrevert" and active != old or told == "soakinghold" and active != new:
            faults.append(f"{told}, and it is the {'old' if active == old else 'new'} one")
        if found["records"]:
            faults.append(f"still under way after the boot: {found['records']}")
        if fault := chain_fault(found["receipts"]):
            faults.append(f"receipts: {fault}")
        faults += self.recovery(found)
        self.faults += [f"{where}: {fault}" for fault in faults]
        print(f"{where}: {'old' if active == old else 'new'} {' '.join(faults)}", flush=True)

    def recovery(self, found: Mapping[str, str]) -> list[str]:
        """Where there was something to recover from: before basic.target, and decided within a second."""
        began = seconds(found["recover"], "ExecMainStartTimestampMonotonic")
        ended = seconds(found["recover"], "ExecMainExitTimestampMonotonic")
        if not began:
            return []
        reached = seconds(found["target"], "ActiveEnterTimestampMonotonic")
        moves = [line.split() for line in found["moves"].splitlines() if line.startswith(found["boot"])]
        decided = [float(at) - began for _boot, at, name in moves if name in DECIDES]
        self.recoveries.append(ended - began)
        self.decisions += decided[:1]
        faults = []
        if not 0 < ended <= reached:
            faults.append(f"recovery ended at {ended} s, basic.target came at {reached} s")
        if not decided:
            faults.append("the recovery ran and decided nothing")
        elif decided[0] > 1:
            faults.append(f"the guard decided after {decided[0]:.2f} s")
        return faults

    def end(self) -> None:
        self.host.unhook()
        answer, text = self.host.run(state="absent", epoch=2**31)
        if answer.get("failed"):
            self.faults.append(f"{self.host.name}: the removal failed: {text[-300:]}")


def work(name: str, folder: Path, share: int) -> Cuts:
    cuts = Cuts(PowerHost(name, folder, show=lambda _text: None))
    try:
        cuts.begin()
        while cuts.cuts < share:
            cuts.one()
        cuts.end()
    except (AssertionError, OSError) as problem:
        cuts.faults.append(f"{name}: {problem!r}"[:600])
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
        "recoveries": len(decisions),
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
