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
    assert fault == "line 2 is torn or was changed"


def test_a_removed_receipt_is_found(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    for event in ("APPLYING", "PENDING", "CONFIRMED"):
        receipts.append(str(path), event)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert receipts.load(str(path))[1] == "line 1 does not follow from the line before it"


def test_a_line_torn_by_a_power_cut_stays_and_the_chain_goes_on_from_it(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    receipts.append(str(path), "APPLYING")
    with path.open("ab") as stream:
        stream.write(b'{"time": "2026-')
    assert receipts.load(str(path))[1] == "line 2 is torn or was changed"
    receipts.append(str(path), "REVERTED")
    entries, fault = receipts.load(str(path))
    assert ([entry["event"] for entry in entries], fault) == (["APPLYING", "REVERTED"], "")
    path.write_bytes(path.read_bytes().replace(b"2026-\n", b"2027-\n"))
    assert receipts.load(str(path))[1] == "line 2 is torn or was changed"


def test_every_single_byte_of_the_receipts_counts(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    for event in ("APPLYING", "PENDING", "CONFIRMED"):
        receipts.append(str(path), event, nonce="n1", to="a" * 64)
    content = path.read_bytes()
    for place in range(len(content)):
        for bit in range(8):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
            number = content[:place].count(b"\n") + 1
            assert receipts.load(str(path))[1].startswith(f"line {number} "), (place, bit)


def test_receipts_that_were_cut_at_the_end_of_a_line_are_missed(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    for event in ("APPLYING", "PENDING", "CONFIRMED"):
        receipts.append(str(path), event, nonce="n1")
    kept = dict.fromkeys(receipts.FINAL, {}) | {"confirmed": {"nonce": "n1"}}
    assert receipts.missing(receipts.load(str(path))[0], kept) == []
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    entries, fault = receipts.load(str(path))
    assert fault == "" and receipts.missing(entries, kept) == ["confirmed"]


def test_no_receipts_are_no_fault(tmp_path: Path) -> None:
    assert receipts.load(str(tmp_path / "none")) == ([], "")


def test_a_receipt_that_lost_nothing_but_its_end_is_there(tmp_path: Path) -> None:
    path = tmp_path / "receipts.jsonl"
    for event in ("APPLYING", "CONFIRMED"):
        receipts.append(str(path), event)
    path.write_bytes(path.read_bytes()[:-1])
    entries, fault = receipts.load(str(path))
    assert [entry["event"] for entry in entries] == ["APPLYING", "CONFIRMED"] and fault == ""
    receipts.append(str(path), "REVERTING")
    entries, fault = receipts.load(str(path))
    assert [entry["event"] for entry in entries] == ["APPLYING", "CONFIRMED", "REVERTING"] and fault == ""
