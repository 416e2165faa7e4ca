# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real parsers of Linux, for tests: systemd-analyze verify and nft -c."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

systemd_analyze = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)
nft = pytest.mark.skipif(not shutil.which("nft") or os.geteuid() != 0, reason="nft -c wants nft and root")


def complaints(folder: Path, unit: str) -> list[str]:
    """What systemd's parser says of our files. It exits 0 on a misspelt value, so every line that names one counts."""
    (folder / unit).write_text("[Unit]\nDescription=demo\n[Service]\nType=simple\nExecStart=/bin/true\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(folder / unit)],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        check=False,
    )
    return [line for line in (done.stdout + done.stderr).splitlines() if "bulkhead" in line]


def check(text: str) -> subprocess.CompletedProcess[str]:
    """nft's own parser in a network namespace of its own."""
    return _nft(text, "nft -c -f -")


def ruleset(text: str) -> list[dict[str, Any]]:
    """What the kernel holds after it was loaded into an empty network namespace, as nft tells it."""
    done = _nft(text, "nft -f - && nft -j list ruleset")
    if done.returncode:
        raise ValueError(done.stderr)
    found: list[dict[str, Any]] = json.loads(done.stdout)["nftables"]
    return [one for one in found if "metainfo" not in one]


def _nft(text: str, command: str) -> subprocess.CompletedProcess[str]:
    # The cgroup does not exist here, so its match is replaced.
    shown = re.sub(r'socket cgroupv2 level 2 "[a-z0-9._/-]*"', "meta mark 1", text)
    return subprocess.run(
        ["unshare", "--net", "sh", "-c", command], input=shown, capture_output=True, text=True, check=False
    )
