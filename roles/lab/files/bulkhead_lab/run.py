# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running commands, saying what happens, and what a failed command looks like."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from bulkhead_lab.settings import LabError

# No shims of version managers, and sbin for people whose PATH lacks it.
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
_start = time.monotonic()
log_file: Path | None = None


def say(text: str) -> None:
    """One line of progress: on the terminal, and in the lab's log for whoever follows it."""
    line = f"[{time.monotonic() - _start:6.1f} s] {text}\n"
    sys.stderr.write(line)
    sys.stderr.flush()
    if log_file is not None:
        with log_file.open("a") as stream:
            stream.write(line)


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", **extra}


def run(argv: Sequence[str], *, output: Path | None = None, text_in: str | None = None, **extra: str) -> str:
    """Run a command and return its output; output keeps it in a file instead. Fails with its last lines."""
    if output is None:
        done = subprocess.run(
            argv, input=text_in or "", capture_output=True, text=True, env=environment(**extra), check=False
        )
        status, answer, complaint = done.returncode, done.stdout, done.stderr or done.stdout
    else:
        with output.open("ab") as stream:
            status = subprocess.call(
                argv, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment(**extra)
            )
        answer = complaint = output.read_text(errors="replace")
    if status != 0:
        tail = "\n".join(complaint.strip().splitlines()[-8:])
        where = f"All of its output is in '{output}'." if output else ""
        raise LabError(f"'{argv[0]}' failed with status {status}: {tail}", where)
    return answer


def together(function: Callable[[_Item], _Made], items: Sequence[_Item]) -> list[_Made]:
    """``function`` of every item at the same time, answers in their order. All end before the first error is raised."""
    with ThreadPoolExecutor(max_workers=max(1, len(items))) as pool:
        return [future.result() for future in [pool.submit(function, item) for item in items]]
