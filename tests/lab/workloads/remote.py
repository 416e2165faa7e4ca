# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a workload on a host through plain ssh: one connection carries the programs over and the report back.

As a command: ``python remote.py NAME {prepare,run,cleanup} [--confined] -- ssh ARGUMENTS``.
"""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
NAMES = ("nginx", "postgresql", "redis", "bulletin")

# The folder goes away whatever happens; the host keeps only what `prepare` put there on purpose.
UNPACK = (
    "d=$(mktemp -d /run/workload.XXXXXX) && trap 'rm -rf \"$d\"' EXIT"
    ' && tar -x -C "$d" -f - && cd "$d" && python3 -B run.py {arguments}'
)


class WorkloadError(Exception):
    """The workload could not be run at all: the connection, or a program that broke."""


def _programs() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in sorted(HERE.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.add(path, path.relative_to(HERE).as_posix())
    return buffer.getvalue()


def act(ssh: Sequence[str], name: str, action: str = "run", *, confined: bool = False) -> dict[str, Any]:
    """The report of ``action`` on the host that the command ``ssh`` (with all its options) reaches."""
    arguments = shlex.join([name, action, *(["--confined"] if confined else [])])
    done = subprocess.run(
        [*ssh, UNPACK.format(arguments=arguments)],
        input=_programs(),
        capture_output=True,
        timeout=300,
        check=False,
    )
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    try:
        report: dict[str, Any] = json.loads(lines[-1])
    except (IndexError, ValueError):
        said = done.stderr.decode("utf-8", "replace").strip()[-1500:]
        raise WorkloadError(
            f"{name} {action} gave no report (exit status {done.returncode}): {said}"
        ) from None
    return report


def failures(report: dict[str, Any]) -> list[str]:
    """What went wrong, one line each; empty for a good report."""
    if "steps" not in report:
        return [] if report["ok"] else [report["detail"]]
    return [f"{s['step']}: {s['detail']}" for s in report["steps"] if not s["ok"]]


def main(argv: Sequence[str]) -> int:
    split = list(argv).index("--")
    name, action, *flags = argv[:split]
    report = act(argv[split + 1 :], name, action, confined="--confined" in flags)
    for step in report.get("steps", []):
        print(f"{'ok  ' if step['ok'] else 'FAIL'} {step['seconds']:7.2f} s  {step['step']}")
    for failure in failures(report):
        print(f"     {failure}")
    print(json.dumps({key: value for key, value in report.items() if key not in ("steps", "detail")}))
    return 0 if report["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
