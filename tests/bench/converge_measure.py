# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command and say what it cost: seconds, processor seconds of all that it started, bytes on the hosts' cables.

As a program: converge_measure.py ANSWER LOG COMMAND.. writes JSON to ANSWER. Processes that outlive the command, as
ssh's shared connections do, become children of this one (PR_SET_CHILD_SUBREAPER, prctl(2)); they are ended and counted.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 5.0
LIMIT = 3600


def carried(text: str, cables: Iterable[str]) -> dict[str, int]:
    """{cable: bytes both ways} from /proc/net/dev (proc_pid_net(5)): frames with all their headers."""
    found = {}
    for line in text.splitlines():
        name, _colon, numbers = line.partition(":")
        words = numbers.split()
        if len(words) >= 16:
            found[name.strip()] = int(words[0]) + int(words[8])
    return {cable: found[cable] for cable in cables}


def children() -> list[int]:
    """Of this process, those that it inherited too."""
    lists = Path("/proc/self/task").glob("*/children")
    return [int(word) for path in lists for word in path.read_text().split()]


def end_rest() -> None:
    """End what the command left running, and wait for it, so that it is counted."""
    limit = time.monotonic() + PATIENCE
    while left := children():
        sign = signal.SIGTERM if time.monotonic() < limit else signal.SIGKILL
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        time.sleep(0.02)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def main() -> None:
    answer, log, *argv = sys.argv[1:]
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    with Path(log).open("ab") as stream:
        began = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        code = process.wait(LIMIT)
    wall = time.monotonic() - began
    end_rest()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    Path(answer).write_text(json.dumps({"code": code, "wall": wall, "cpu": used.ru_utime + used.ru_stime}))


def run(
    argv: list[str], environment: dict[str, str], work: Path, space: str, cables: list[str]
) -> dict[str, Any]:
    """Run ``argv`` in the network namespace ``space``: {code, wall, cpu, wire}; wire in bytes of all ``cables``."""
    answer, log = work / "answer.json", work / "log"
    log.write_bytes(b"")
    inside = ["nsenter", f"--net=/run/netns/{space}"]

    def read() -> dict[str, int]:
        done = subprocess.run([*inside, "cat", "/proc/net/dev"], capture_output=True, text=True, check=True)
        return carried(done.stdout, cables)

    before = read()
    subprocess.run(
        [sys.executable, "-B", __file__, str(answer), str(log), *inside, *argv],
        cwd=work, env=environment, check=True,
    )  # fmt: skip
    after = read()
    wire = sum(after[cable] - before[cable] for cable in cables)
    return {**json.loads(answer.read_text()), "wire": wire}


if __name__ == "__main__":
    main()
