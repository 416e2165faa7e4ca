# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of disks, people and other runs in the middle of a change: each is refused or recovered from, named in the
error, and nothing is lost. The host's own files say so. A jump of the clock is tried on QEMU machines alone.
"""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from pathlib import Path

import exam
from faults_host import FAULTS, FaultyHost
from faults_torn import torn
from faults_window import WINDOW
from lab_host import chosen

KIND = os.environ.get("BULKHEAD_LAB_KIND", "")
ONLY = os.environ.get("ONLY", "").split()
HOSTS, STRIDE = int(os.environ.get("FAULT_HOSTS", "9")), int(os.environ.get("STRIDE", "1"))


def main() -> None:
    began = time.monotonic()
    figures: dict[str, object] = {}
    short: list[str] = []
    # In memory where there is such a place: thousands of writes, each flushed.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        cuts, wrong = torn(Path(folder), STRIDE)
        figures["cuts"] = cuts
        short += wrong
        hosts = [name for name in chosen(KIND) if name != "none"][:HOSTS]
        if not hosts:
            short.append("no lab is up (make lab-up)")
        for name in hosts:
            place = Path(folder, name)
            place.mkdir()
            host = FaultyHost(name, place, show=lambda _text: None)
            tried = figures.setdefault("tried", {})
            assert isinstance(tried, dict)
            try:
                host.begin()
                for fault in FAULTS + WINDOW:
                    if (ONLY and fault.__name__ not in ONLY) or (
                        fault.__name__ == "clock_jump" and host.kind != "qemu"
                    ):
                        continue
                    print(f"[{time.monotonic() - began:5.0f} s] {name}: {fault.__name__}", flush=True)
                    try:
                        fault(host)
                        tried[fault.__name__] = tried.get(fault.__name__, 0) + 1
                    except (AssertionError, OSError, KeyError) as problem:
                        where = traceback.extract_tb(problem.__traceback__)[-1]
                        short.append(f"{name}: {fault.__name__} (line {where.lineno}): {problem!r}"[:700])
                        print(f"  {short[-1]}", flush=True)
                    host.calm()
            finally:
                short += host.finish()
        figures["hosts"] = hosts
    exam.end("faults", {**figures, "seconds": round(time.monotonic() - began)}, short)


if __name__ == "__main__":
    main()
