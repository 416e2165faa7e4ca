# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden files through the real parsers: systemd-analyze verify and nft -c."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
GOLDEN = ROOT / "tests/unit/plugins/plugin_utils/backends/golden"
DROPINS = sorted(GOLDEN.glob("*/*/etc/systemd/system/*.service.d/zz-bulkhead.conf"))
RULES = sorted(GOLDEN.glob("*/*/etc/bulkhead/nft/*.nft"))

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


def ident(path: Path) -> str:
    return "-".join(path.relative_to(GOLDEN).parts[:2])


@systemd_analyze
@pytest.mark.parametrize("dropin", DROPINS, ids=ident)
def test_systemd_reads_every_line(dropin, tmp_path):
    source = dropin.parent.parent
    shutil.copytree(source, tmp_path / "units")
    assert complaints(tmp_path / "units", dropin.parent.name.removesuffix(".d")) == []


@systemd_analyze
@pytest.mark.parametrize(
    "line", ["ProtectSystem=strickt", "ProtectSistem=strict", "SystemCallFilter=@nonsense"]
)
def test_the_oracle_sees_a_fault(line, tmp_path):
    folder = tmp_path / "units"
    (folder / "demo.service.d").mkdir(parents=True)
    (folder / "demo.service.d/zz-bulkhead.conf").write_text(f"[Service]\n{line}\n")
    assert complaints(folder, "demo.service") != []


def check(text: str) -> subprocess.CompletedProcess[str]:
    """nft's own parser in a network namespace of its own. The cgroup does not exist here, so its match is replaced."""
    shown = re.sub(r'socket cgroupv2 level 2 "[^"]*"', "meta mark 1", text)
    command = ["unshare", "--net", "nft", "-c", "-f", "-"]
    return subprocess.run(command, input=shown, capture_output=True, text=True, check=False)


@nft
@pytest.mark.parametrize("rules", RULES, ids=ident)
def test_nft_reads_every_rule(rules):
    done = check(rules.read_text("utf-8"))
    assert (done.returncode, done.stderr) == (0, "")


@nft
def test_nft_sees_a_fault():
    assert check("table inet x {\n\tchain c {\n\t\ttcp dport { 80 acept\n\t}\n}\n").returncode != 0
