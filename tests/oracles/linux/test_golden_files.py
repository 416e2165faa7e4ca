# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden files through the real parsers: systemd-analyze verify and nft -c."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from parsers import check, complaints, nft, systemd_analyze

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
GOLDEN = ROOT / "tests/unit/plugins/plugin_utils/backends/golden"
DROPINS = sorted(GOLDEN.glob("*/*/etc/systemd/system/*.service.d/zz-bulkhead.conf"))
RULES = sorted(GOLDEN.glob("*/*/etc/bulkhead/nft/*.nft"))


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


@nft
@pytest.mark.parametrize("rules", RULES, ids=ident)
def test_nft_reads_every_rule(rules):
    done = check(rules.read_text("utf-8"))
    assert (done.returncode, done.stderr) == (0, "")


@nft
def test_nft_sees_a_fault():
    assert check("table inet x {\n\tchain c {\n\t\ttcp dport { 80 acept\n\t}\n}\n").returncode != 0
