# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: a whole fleet goes back in little more time than one host, with a part of it out of reach.

One host is changed and rolled back, then all of them are, while 5 % cannot be reached (at least one). Those are owed by
name and the exit code says so; when they answer again, one more rollback takes them back as well.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import exam
import fleet as fleets
import yaml

HOSTS = int(os.environ.get("HOSTS", "20"))
TIMES, MORE = 1.5, 10.0


def away(fleet: fleets.Fleet, hosts: list[str]) -> list[str]:
    """Arguments with which ``hosts`` cannot be reached; hosts that are files are told."""
    if not fleet.real:
        for host in hosts:
            fleet.fault(host, "away")
        return []
    path = fleet.work / "away.yml"
    closed = {host: {"ansible_port": 9, "ansible_host": "127.0.0.1"} for host in hosts}
    path.write_text(yaml.safe_dump({"all": {"hosts": closed}}))
    return ["-i", str(path), "-e", "ansible_ssh_common_args='-o ControlPath=none'"]


def main() -> None:
    shortfalls: list[str] = []
    with tempfile.TemporaryDirectory() as work:
        fleet = fleets.Fleet(Path(work) / "fleet", HOSTS, fleets.inventory())
        everybody = fleet.hosts
        try:
            fleet.play("rollout")
            before = fleet.holds()

            fleet.version(2)
            fleet.hosts = dict(list(everybody.items())[:1])
            fleet.play("rollout")
            began = time.monotonic()
            code = fleet.play("rollback").returncode
            one = time.monotonic() - began
            if code != 0:
                shortfalls.append("one host could not be rolled back")

            fleet.hosts = everybody
            fleet.version(3)
            fleet.play("rollout")
            traces, lines = fleet.traces(), len(fleet.journal())
            checked = fleet.play("rollback", "--check")
            if checked.returncode != 0 or (fleet.traces(), len(fleet.journal())) != (traces, lines):
                shortfalls.append(f"--check changed something, or ended with {checked.returncode}")
            changed = [host for host, held in fleet.holds().items() if held != before[host]]
            gone = fleet.names[-max(1, HOSTS // 20) :]
            arguments = away(fleet, gone)
            began = time.monotonic()
            done = fleet.play("rollback", *arguments)
            fleet_seconds = time.monotonic() - began
            limit = TIMES * one + MORE
            held = fleet.holds()
            wrong = [host for host in held if host not in gone and held[host] != before[host]]
            if done.returncode == 0:
                shortfalls.append("hosts are owed, and the exit code says that all is well")
            shortfalls += [f"{host} is not owed by name" for host in gone if host not in done.stdout]
            if wrong or len(changed) != HOSTS:
                shortfalls.append(f"changed {len(changed)} of {HOSTS}, not back: {wrong}")
            if fleet_seconds > limit:
                shortfalls.append(f"the fleet took {fleet_seconds:.1f} s, more than {limit:.1f} s")

            for host in gone:
                if not fleet.real:
                    fleet.fault(host, "away", on=False)
            again = fleet.play("rollback")
            left = [host for host, now in fleet.holds().items() if now != before[host]]
            if again.returncode != 0 or left:
                shortfalls.append(f"after they came back: status {again.returncode}, not back: {left}")
        finally:
            fleet.hosts = everybody
            fleet.release()
    figures = {
        "hosts": HOSTS,
        "real": fleet.real,
        "unreachable": len(gone),
        "one_host_s": round(one, 1),
        "fleet_s": round(fleet_seconds, 1),
        "limit_s": round(limit, 1),
        "not_back": len(wrong) + len(left),
    }
    exam.end("rollback", figures, shortfalls)


if __name__ == "__main__":
    main()
