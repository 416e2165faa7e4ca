# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy that cuts SSH on every host of a wave: each can be reached again as before within confirm_within + 2 s, with
the controller alive and with it killed. TRIALS=100 over all hosts of the lab.

Reached means a banner of sshd on a connection of our own and, once it is there, the host's own files.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import exam
from lab_host import LabHost, at_once_on, every

TRIALS = int(os.environ.get("TRIALS", "100"))
KIND = os.environ.get("BULKHEAD_LAB_KIND", "")
WITHIN, GRACE = int(os.environ.get("WITHIN", "20")), 2.0
STATE = "/var/lib/bulkhead/lockout"
# All that it does not say is closed: sshd may start, and let nobody in.
TEXT = """schema: 1
policy: lockout
version: 1.0.0
owner: lab
risk: low
summary: Cuts ssh, for the exam of that name.
mode: enforce
workload: {linux: {unit: ssh.service, executable: /usr/sbin/sshd}}
network:
  listen: [tcp/2222]
health: []
"""


class Lockout:
    def __init__(self, host: LabHost) -> None:
        self.host, self.faults = host, list[str]()
        self.slowest, self.trials = 0.0, 0

    def banner(self) -> bool:
        """Whether somebody new would be let in: sshd answers on a connection of its own."""
        *options, destination = self.host.ssh_words()
        words = [*options, "-o", "ControlPath=none", "-o", "ConnectTimeout=1", destination, "true"]
        with contextlib.suppress(subprocess.TimeoutExpired):
            # An ssh that inherits our standard input makes it non-blocking, and no ansible-playbook starts after that.
            done = subprocess.run(
                words, stdin=subprocess.DEVNULL, capture_output=True, timeout=4, check=False
            )
            return done.returncode == 0
        return False

    def begin(self) -> None:
        assert self.host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", (
            "somebody uses this host"
        )
        (self.host.work / "lockout.yml").write_text(TEXT)
        answer, text = self.host.run("--check", policy="lockout", policies_dirs=[str(self.host.work)])
        assert not answer.get("failed"), f"{answer.get('msg')} {text[-500:]}"
        self.before = self.files()

    def files(self) -> str:
        look = "ls -l /etc/systemd/system/ssh.service.d 2>&1; sha256sum /etc/ssh/sshd_config; nft list tables"
        return self.host.ssh(look)

    def one(self, killed: bool) -> None:
        """Cut, and wait for the way back; ``killed``: the controller dies as soon as the host is cut off."""
        host = self.host
        before = len(host.receipts("lockout"))
        process, _answer = host.start(policy="lockout", policies_dirs=[str(host.work)], confirm_within=WITHIN)
        limit = time.monotonic() + 240
        while self.banner() and time.monotonic() < limit and process.poll() is None:
            time.sleep(0.2)
        cut = time.monotonic()
        if killed:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        while not self.banner() and time.monotonic() < cut + WITHIN + 120:
            time.sleep(0.1)
        took = time.monotonic() - cut
        process.communicate(timeout=600)
        self.trials += 1
        self.slowest = max(self.slowest, took)
        events = [entry["event"] for entry in host.receipts("lockout")[before:]]
        where = f"{host.name}, trial {self.trials}, controller {'killed' if killed else 'alive'}"
        if "APPLYING" not in events:
            self.faults.append(f"{where}: it was never cut off: {events}")
        if took > WITHIN + GRACE:
            self.faults.append(f"{where}: reached again after {took:.1f} s")
        quiet = f"cat {STATE}/active 2>/dev/null; ls {STATE}/pending.json {STATE}/reverting.json 2>/dev/null || true"
        if not host.until(lambda: host.ssh(quiet) == "" and self.files() == self.before, 60):
            self.faults.append(f"{where}: not as before: {self.files()[:300]}")
        if "CONFIRMED" in events:
            self.faults.append(f"{where}: confirmed: {events}")

    def end(self) -> None:
        self.host.run(policy="lockout", state="absent", epoch=2**31)


def work(name: str, folder: Path, share: int) -> Lockout:
    one = Lockout(LabHost(name, folder, show=lambda _text: None))
    try:
        one.begin()
        for number in range(share):
            one.one(killed=bool(number % 2))
    except (AssertionError, OSError, subprocess.SubprocessError) as problem:
        one.faults.append(f"{name}: {problem!r}"[:700])
    with contextlib.suppress(AssertionError, OSError, subprocess.SubprocessError):
        one.end()
    return one


def main() -> None:
    hosts = every(KIND)
    if not hosts:
        exam.end("lockout", {"hosts": 0}, ["no lab is up (make lab-up)"])
    began, share = time.monotonic(), -(-TRIALS // len(hosts))
    found = at_once_on(hosts, lambda name, folder: work(name, folder, share))
    figures = {
        "hosts": len(hosts),
        "trials": sum(one.trials for one in found),
        "confirm_within": WITHIN,
        "slowest": round(max(one.slowest for one in found), 1),
        "seconds": round(time.monotonic() - began),
    }
    short = [fault for one in found for fault in one.faults]
    if figures["trials"] < TRIALS:
        short.append(f"{figures['trials']} trials of {TRIALS}")
    exam.end("lockout", figures, short)


if __name__ == "__main__":
    main()
