# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exam's own lab: its folder, its inventory, its hosts by turns."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LAB_DIR = Path(os.environ.get("LAB_DIR", ROOT / "build/exam-lab"))
LAB_CACHE = Path(os.environ.get("LAB_CACHE", ROOT / "build/lab/img"))
PORT_BASE = os.environ.get("LAB_PORT_BASE", "0")
# lab_host.py reads it when it is imported: this exam's hosts are in no other inventory.
os.environ["BULKHEAD_LAB_INVENTORY"] = str(LAB_DIR / "inventory.yml")


def lab(*words: str) -> str:
    """A command of the lab for this exam's own lab; what it complains of, or an empty string."""
    program = ROOT / "roles/lab/files/bulkhead_lab"
    argv = [sys.executable, "-B", str(program), "--dir", str(LAB_DIR), "--cache", str(LAB_CACHE)]
    argv += ["--port-base", PORT_BASE, *words]
    done = subprocess.run(argv, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr.strip()[-600:]


def boot(turn: tuple[str, ...]) -> dict[str, str]:
    """{word: name of the host} of the hosts of one turn."""
    kind = "nspawn" if turn[0].startswith("nspawn:") else "qemu"
    words = [word.removeprefix("nspawn:") for word in turn]
    trouble = lab("up", "--kind", kind, "--hosts", str(len(words)), "--suites", ",".join(words))
    if trouble:
        raise RuntimeError(trouble)
    letter = "n" if kind == "nspawn" else "h"
    return {word: f"{letter}{number}" for number, word in enumerate(turn, 1)}
