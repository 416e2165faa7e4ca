# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The four shipped policies together on one host of each suite: every application does its work and every probe ends
as the policy says, after a restart of the service and after a reboot. Then the sandboxes are removed again.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import exam
from lab_host import LabHost, at_once, of_each_suite
from workloads import remote

# Best exposure of nginx that systemd-analyze security may report; unconfined it is 9.6.
LIMIT = 1.5
UNITS = {
    "postgresql": "postgresql@*.service",
    "redis": "redis-server.service",
    "bulletin": "bulletin.service",
    "nginx": "nginx.service",
}
TRACES = (
    "ls -d /var/lib/bulkhead /etc/bulkhead /etc/systemd/system/*bulkhead* /etc/systemd/system/*/*bulkhead* 2>/dev/null;"
    " nft list tables; systemctl list-units --all --no-legend '*bulkhead*'"
)
began = time.monotonic()


@dataclass
class Findings:
    """What one host showed: ``count`` of what was tried and how it ended, ``faults`` in words, nginx's ``exposure``."""

    count: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    exposure: float = 10.0

    def check(self, good: bool, what: str, fault: str) -> None:
        self.count[what] += 1
        if not good:
            self.faults.append(fault)


def say(host: LabHost, text: str) -> None:
    print(f"[{time.monotonic() - began:5.0f} s] {host.name}: {text}", flush=True)


def work(host: LabHost, policy: str, when: str, found: Findings) -> None:
    """The application's workload in its sandbox, then all probes of its policy through that sandbox."""
    where = f"{host.name} {policy} after {when}"
    report = remote.act(host.ssh_words(), policy, "run", confined=True)
    wrong = remote.failures(report)
    found.check(not wrong, "workloads", f"{where}: {'; '.join(wrong)}")
    result, _text = host.run(module="probe", policy=policy, host=host.name)
    clauses = result.get("evidence", {}).get("clauses", [])
    probes = [probe for clause in clauses for probe in clause["probes"]]
    found.check(bool(probes), "proofs", f"{where}: no probe ran: {result.get('msg')}")
    for probe in probes:
        kind = {True: "denied" if probe["expect"] == "deny" else "allowed", False: "wrong", None: "unsure"}[
            probe["ok"]
        ]
        text = f"{where}: {probe['action']} {probe['target']}: {probe['got']}, not {probe['expect']} ({probe['note']})"
        found.check(probe["ok"] is True, kind, text)
    bad = [clause["clause"] for clause in clauses if clause["outcome"] == "failed"]
    found.check(not bad, "read_back", f"{where}: read-backs of {', '.join(bad)}")
    say(host, f"{policy} after {when}: {len(probes)} probes, workload {'failed' if wrong else 'passed'}")


def road(name: str, folder: Path) -> Findings:
    found = Findings()
    host = LabHost(name, folder, show=lambda _text: None)
    try:
        for policy in UNITS:
            prepared = remote.act(host.ssh_words(), policy, "prepare")
            found.check(prepared["ok"], "prepared", f"{name} {policy}: {prepared['detail']}")
        for policy in UNITS:
            result, _text = host.run(policy=policy, policies_dirs=[])
            say(host, f"{policy}: {result.get('state')}")
            found.check(
                result.get("state") == "confirmed", "applied", f"{name} {policy}: {result.get('msg')}"
            )
        words = host.ssh("systemd-analyze security --no-pager nginx.service | tail -1")
        found.exposure = float(re.findall(r"\d+\.\d+", words)[0])
        for policy, unit in UNITS.items():
            host.ssh(f"systemctl restart '{unit}'")
            work(host, policy, "a restart", found)
        host.lab("reboot")
        host.until(lambda: host.ssh("systemctl is-system-running || true") in ("running", "degraded"), 120)
        for policy in UNITS:
            work(host, policy, "a reboot", found)
    except (AssertionError, OSError, subprocess.SubprocessError, remote.WorkloadError) as problem:
        found.check(False, "broken", f"{name}: {problem}")
    finally:
        for policy in UNITS:
            result, _text = host.run(policy=policy, policies_dirs=[], state="absent")
            found.check(result.get("state") == "absent", "removed", f"{name} {policy}: {result.get('msg')}")
        left = host.ssh(TRACES + " || true")
        found.check(not left, "traces", f"{name}: the removal left {left}")
        for policy in reversed(UNITS):
            cleaned = remote.act(host.ssh_words(), policy, "cleanup")
            found.check(cleaned["ok"], "cleaned", f"{name} {policy}: {cleaned['detail']}")
    return found


def main() -> None:
    chosen = of_each_suite("qemu")
    missing = {"bookworm", "trixie"} - set(chosen)
    with tempfile.TemporaryDirectory() as folder:
        found = at_once(chosen, folder, road)
    faults = [fault for one in found.values() for fault in one.faults]
    faults += [f"no host of {suite} in the lab" for suite in sorted(missing)]
    faults += [
        f"nginx on {suite} is at {one.exposure}" for suite, one in found.items() if one.exposure > LIMIT
    ]
    count: Counter[str] = sum((one.count for one in found.values()), Counter())
    figures: dict[str, Any] = {
        "exposure": {suite: one.exposure for suite, one in found.items()},
        **{what: count[what] for what in ("workloads", "denied", "allowed", "wrong", "unsure")},
        "faults": len(faults),
        "seconds": round(time.monotonic() - began),
    }
    exam.end("road", figures, faults)


if __name__ == "__main__":
    main()
