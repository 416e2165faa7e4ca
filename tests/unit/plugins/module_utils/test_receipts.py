# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

from ansible_collections.bulkhead.fleet.plugins.module_utils import receipts


def test_receipts_follow_one_from_the_other(tmp_path: Path) -> None:
    path = str(tmp_path / "receipts.jsonl")
    for event in ("APPLYING", "PENDING", "CONFIRMED"):
        receipts.append(path, event, to="a" * 64)
    entries, fault = receipts.load(path)
    assert [entry["event"] for entry in entries] == ["APPLYING", "PENDING", "CONFIRMED"]
    assert fault == ""
    assert entries[0]["previous"] == receipts.FIRST
    assert (tmp_path / "receipts.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_changed_receipt_is_found(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    for event in ("APPLYING", "PENDING", "CONFIRMED"):
        receipts.append(str(path), event)
    path.write_text(path.read_text().replace("PENDING", "CONFIRMED", 1))
    _entries, fault = receipts.load(str(path))
    assert fault == "line 3 does not follow from the line before it"


def test_a_removed_receipt_is_found(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    for event in ("APPLYING", "PENDING", "CONFIRMED"):
        receipts.append(str(path), event)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert receipts.load(str(path))[1] == "line 1 does not follow from the line before it"


def test_a_line_torn_by_a_power_cut_is_dropped_and_the_chain_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    receipts.append(str(path), "APPLYING")
    with path.open("ab") as stream:
        stream.write(b'{"time": "2026-')
    assert receipts.load(str(path))[1] == "line 2 does not follow from the line before it"
    receipts.append(str(path), "REVERTED")
    entries, fault = receipts.load(str(path))
    assert ([entry["event"] for entry in entries], fault) == (["APPLYING", "REVERTED"], "")


def test_no_receipts_are_no_fault(tmp_path: Path) -> None:
    assert receipts.load(str(tmp_path / "none")) == ([], "")
