# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmark: what a rollout costs the controller per host, and how much memory, on fleets of hosts that are files.

The hosts answer as fast as a disk, so what is counted is the controller: processor seconds of ansible-playbook and of
its workers, and the largest of these processes. First a rollout that changes every host, then one that changes none.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "exams")]
import exam  # noqa: E402
import fleet as fleets  # noqa: E402

SIZES = [int(size) for size in os.environ.get("SIZES", "100,1000,5000").split(",")]
TIMES, MEMORY = 1.3, 400
FORKS = os.environ.get("FORKS", "20")


def measured(argv: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Processor seconds and the largest process of a run, from wait4 of a child that does nothing else."""
    script = (
        "import json, resource, subprocess, sys\n"
        "code = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL).returncode\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(json.dumps([code, used.ru_utime + used.ru_stime, used.ru_maxrss]))\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script, *argv], cwd=exam.ROOT, env=environment, capture_output=True, text=True
    )
    code, seconds, largest = json.loads(done.stdout)
    return {"code": code, "cpu": seconds, "mib": largest / 1024, "wall": time.monotonic() - began}


def main() -> None:
    shortfalls: list[str] = []
    figures: dict[str, object] = {"cores": os.cpu_count()}
    first: dict[str, float] = {}
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    for size in SIZES:
        with tempfile.TemporaryDirectory() as work:
            fleet = fleets.Fleet(Path(work) / "fleet", size)
            environment = fleet.environment | {"ANSIBLE_FORKS": FORKS}
            for kind in ("change", "no_change"):
                seen = measured(fleet.words("rollout"), environment)
                each = seen["cpu"] / size
                first.setdefault(kind, each)
                figures[f"{size}_{kind}_cpu_ms"] = round(each * 1000)
                figures[f"{size}_{kind}_wall_s"] = round(seen["wall"])
                figures[f"{size}_{kind}_mib"] = round(seen["mib"])
                if seen["code"]:
                    shortfalls.append(f"{size} hosts, {kind}: status {seen['code']:g}")
                if each > TIMES * first[kind]:
                    shortfalls.append(
                        f"{size} hosts, {kind}: {each / first[kind]:.2f} x the cost per host of {SIZES[0]}"
                    )
                if seen["mib"] > MEMORY:
                    shortfalls.append(f"{size} hosts, {kind}: {seen['mib']:.0f} MiB")
                print(json.dumps(figures), flush=True)
            planned = fleet.planned()
            wanted = {name: (planned.get(name) or "a generation", False) for name in fleet.names}
            if fleet.holds() != wanted:
                shortfalls.append(f"{size} hosts: not all of them hold their generation")
    exam.end("bench-scale", figures, shortfalls)


if __name__ == "__main__":
    main()
