# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records on the disk: what is not to the byte what was written is torn, never read as something else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import records

FIELDS = {"phase": "armed", "to": "b" * 64, "deadline": 12.5, "epoch": 3, "note": 'a "quote" and a \\'}


def test_what_was_written_is_read_again_and_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "pending.json"
    records.write(str(path), FIELDS)
    assert records.read(str(path)) == FIELDS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_file_is_no_record(tmp_path: Path) -> None:
    assert records.read(str(tmp_path / "pending.json")) == {}


def test_a_record_that_is_cut_anywhere_is_torn() -> None:
    whole = records.text(FIELDS).encode()
    assert [size for size in range(len(whole)) if records.parse(whole[:size]) is not None] == []


def test_a_record_with_any_bit_flipped_is_torn() -> None:
    whole = records.text(FIELDS).encode()
    for number in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[number // 8] ^= 1 << number % 8
        assert records.parse(bytes(flipped)) is None, f"bit {number}"


@pytest.mark.parametrize("more", [b" ", b"\n", b"{}", b"\0"])
def test_nothing_can_be_added(more: bytes) -> None:
    assert records.parse(records.text(FIELDS).encode() + more) is None
