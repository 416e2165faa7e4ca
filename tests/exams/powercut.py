# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU machines whose power is cut at random moments of a change. After the boot their own files say: the old
generation or the new one, whole, before basic.target, and the guard decided within a second of its start.

CUTS=300 SEED=1, over all QEMU hosts of the lab at once.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

import exam
from kill_trials import FILES, OTHER, STATE, chain_fault
from lab_host import LabHost, at_once_on, every

CUTS, SEED = int(os.environ.get("CUTS", "300")), int(os.environ.get("SEED", "1"))
RECOVER, TARGET = "bulkhead-recover.service", "basic.target"


class Cuts:
    def __init__(self, host: LabHost) -> None:
        self.host, self.faults = host, list[str]()
        self.phases: Counter[str] = Counter()
        self.slowest, self.cuts, self.span = 0.0, 0, 60.0
        self.random = random.Random(f"{SEED}-{host.name}")

    def begin(self) -> None:
        host = self.host
        assert host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", "somebody uses this host"
        host.ssh("systemctl enable -q --now nginx.service")
        self.folders = [str(host.policy("one")), str(host.policy("two", OTHER))]
        self.has: dict[str, str] = {}
        for folder in self.folders:
            began = time.monotonic()
            answer, text = host.run(policies_dirs=[folder])
            assert not answer.get("failed"), text[-400:]
            self.span = time.monotonic() - began  # a moment of it is drawn each time
            self.has[answer["digest"]] = host.ssh(FILES)
        assert len(set(self.has.values())) == 2, "the generations cannot be told apart"

    def one(self) -> None:
        host = self.host
        old = host.ssh(f"cat {STATE}/active")
        folder = self.folders[1 - list(self.has).index(old)]
        process, _answer = host.start(policies_dirs=[folder], confirm_within=20)
        time.sleep(self.random.uniform(0.1, 1.1) * self.span)
        host.lab("power-cut")
        process.kill()
        process.communicate()
        self.cuts += 1
        active, files = host.ssh(f"cat {STATE}/active"), host.ssh(FILES)
        last = (host.receipts() or [{"event": "none"}])[-1]["event"]
        self.phases[last if last != "CONFIRMED" or active != old else "before the change"] += 1
        where = f"{host.name}, cut {self.cuts}"
        if self.has.get(active) != files:
            self.faults.append(f"{where}: active '{active[:12]}', and its files are others: {files[:500]}")
        if host.ssh(f"ls {STATE}/pending.json {STATE}/reverting.json 2>/dev/null || true"):
            self.faults.append(f"{where}: still under way after the boot")
        fault = chain_fault(host.ssh(f"cat {STATE}/receipts.jsonl"))
        if fault:
            self.faults.append(f"{where}: receipts: {fault}")
        began, ended = self.times(
            RECOVER, "ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic"
        )
        reached = self.times(TARGET, "ActiveEnterTimestampMonotonic")[0]
        if began:
            self.slowest = max(self.slowest, ended - began)
            if not 0 < ended <= reached:
                self.faults.append(f"{where}: recovery ended at {ended} s, basic.target came at {reached} s")
            self.decided_within_a_second(where, began)

    def decided_within_a_second(self, where: str, began: float) -> None:
        """The receipt of the way back is its end; that it was begun shows the record's new name, written first."""
        stamp = self.host.ssh(
            f"stat -c %.3Z {STATE}/reverted.json {STATE}/abandoned.json 2>/dev/null || true"
        ).split()
        start = float(self.host.ssh("awk '/btime/{print $2}' /proc/stat")) + began
        if stamp and not any(float(one) >= start - 2 for one in stamp):
            self.faults.append(f"{where}: the recovery ran and nothing went back")

    def times(self, unit: str, *keys: str) -> list[float]:
        shown = self.host.ssh(f"systemctl show -p {','.join(keys)} {unit}")
        found = dict(line.split("=", 1) for line in shown.splitlines())
        return [int(found[key] or 0) / 1e6 for key in keys]

    def end(self) -> None:
        answer, text = self.host.run(state="absent", epoch=2**31)
        if answer.get("failed"):
            self.faults.append(f"{self.host.name}: the removal failed: {text[-300:]}")


def work(name: str, folder: Path, share: int) -> Cuts:
    cuts = Cuts(LabHost(name, folder, show=lambda _text: None))
    try:
        cuts.begin()
        while cuts.cuts < share:
            cuts.one()
    except (AssertionError, OSError) as problem:
        cuts.faults.append(f"{name}: {problem!r}"[:600])
    cuts.end()
    return cuts


def main() -> None:
    hosts = every("qemu")
    if not hosts:
        exam.end("powercut", {"hosts": 0}, ["no QEMU machine is up (make lab-up KIND=qemu)"])
    began, share = time.monotonic(), -(-CUTS // len(hosts))
    found = at_once_on(hosts, lambda name, folder: work(name, folder, share))
    figures = {
        "hosts": len(hosts),
        "cuts": sum(one.cuts for one in found),
        "last receipt": dict(sorted(sum((one.phases for one in found), Counter()).items())),
        "slowest recovery": round(max(one.slowest for one in found), 2),
        "seconds": round(time.monotonic() - began),
    }
    exam.end("powercut", figures, [fault for one in found for fault in one.faults])


if __name__ == "__main__":
    main()
