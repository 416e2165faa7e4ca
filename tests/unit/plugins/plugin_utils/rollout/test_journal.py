# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import multiprocessing
import resource
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def filled(path: Path, count: int = 4) -> list[bytes]:
    for number in range(count):
        journal.append(path, Record("apply", "intent", "nginx-e0001", 1, "pilot", f"h{number}", "old", "new"))
    return path.read_bytes().splitlines(keepends=True)


def test_a_record_comes_back_as_written(path: Path) -> None:
    written = journal.append(
        path,
        Record("gate", "pass", "nginx-e0001", 1, "pilot", detail="1 of 1", exposure={"probes": 9}),
        time="2026-11-24T10:00:00.000Z",
    )
    assert journal.read(path).records == (written,)
    assert (written.seq, written.prev, written.time) == (1, journal.GENESIS, "2026-11-24T10:00:00.000Z")


def test_the_file_has_the_short_names(path: Path) -> None:
    data = json.loads(filled(path, 1)[0])
    assert (data["from"], data["to"]) == ("old", "new")
    assert {"seq", "time", "rollout", "epoch", "wave", "host", "phase", "outcome", "detail", "prev"} <= set(
        data
    )


def test_only_the_owner_reads_it(path: Path) -> None:
    filled(path, 1)
    assert path.stat().st_mode & 0o777 == 0o600


def test_sequence_and_chain(path: Path) -> None:
    filled(path)
    records = journal.read(path).records
    assert [record.seq for record in records] == [1, 2, 3, 4]
    assert [record.prev for record in records[1:]] == [record.hash for record in records[:-1]]


def _edit(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b'"h1"', b'"h9"'), *lines[2:]]


def _edit_last(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1].replace(b'"h3"', b'"h9"')]


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (_edit, "Line 2 .* was changed after it was written"),
        (_edit_last, "Line 4 .* was changed after it was written"),
        (lambda lines: [lines[0], *lines[2:]], "Line 2 .* does not follow the line before it"),
        (lambda lines: lines[1:], "Line 1 .* does not follow the line before it"),
        (lambda lines: [lines[0], lines[0], *lines[1:]], "Line 2 .* does not follow the line before it"),
        (
            lambda lines: [lines[0], lines[2], lines[1], lines[3]],
            "Line 2 .* does not follow the line before it",
        ),
        (lambda lines: [lines[0], b"noise\n", *lines[1:]], "Line 2 .* is no JSON"),
        (lambda lines: [lines[0], b"\n", *lines[1:]], "Line 2 .* is no JSON"),
        (lambda lines: [b'{"seq": 1}\n', *lines[1:]], "Line 1 .* is no record"),
        (lambda lines: [b"[]\n", *lines[1:]], "Line 1 .* is no record"),
    ],
)
def test_tampering_is_found_and_named(path: Path, tamper, fault: str) -> None:  # type: ignore[no-untyped-def]
    path.write_bytes(b"".join(tamper(filled(path))))
    with pytest.raises(RolloutError, match=fault) as caught:
        journal.read(path)
    assert "receipts" in caught.value.help_text


def test_every_torn_length_of_the_last_line_is_tolerated(path: Path) -> None:
    lines = filled(path)
    whole = b"".join(lines[:-1])
    for length in range(1, len(lines[-1])):
        path.write_bytes(whole + lines[-1][:length])
        found = journal.read(path)
        assert (len(found.records), found.torn) == (3, length)


def test_an_append_removes_a_torn_line_and_says_so(path: Path) -> None:
    lines = filled(path)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:40])
    journal.append(path, Record("end", "pass"))
    records = journal.read(path).records
    assert [(record.phase, record.outcome) for record in records[3:]] == [
        ("journal", "repaired"),
        ("end", "pass"),
    ]
    assert records[3].detail == "an unfinished line of 40 bytes was removed"


def test_a_torn_first_line(path: Path) -> None:
    path.write_bytes(b'{"epo')
    journal.append(path, Record("plan", "made"))
    assert [record.phase for record in journal.read(path).records] == ["journal", "plan"]


def test_nothing_is_appended_after_a_changed_line(path: Path) -> None:
    path.write_bytes(b"".join(_edit_last(filled(path))))
    before = path.read_bytes()
    with pytest.raises(RolloutError, match="The last line .* was changed"):
        journal.append(path, Record("end", "pass"))
    assert path.read_bytes() == before


def test_lines_longer_than_the_tail_that_is_read(path: Path) -> None:
    for size in (200_000, 10, 70_000):
        journal.append(path, Record("gate", "pass", detail="x" * size))
    assert [record.seq for record in journal.read(path).records] == [1, 2, 3]


def test_newlines_in_a_value_stay_inside_the_line(path: Path) -> None:
    journal.append(path, Record("apply", "failed", detail='a\n{"seq": 2}\nb'))
    assert journal.read(path).records[0].detail == 'a\n{"seq": 2}\nb'


def _write_many(path: Path, who: int) -> None:
    for _ in range(25):
        journal.append(path, Record("apply", "changed", host=f"h{who}"))


def test_forks_that_write_at_once_keep_the_chain(path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=_write_many, args=(path, who)) for who in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(journal.read(path).records) == 100


def test_a_missing_journal_is_named(path: Path) -> None:
    with pytest.raises(RolloutError, match=r"journal\.jsonl' cannot be read: No such file or directory\."):
        journal.read(path)


def _write_too_much(path: Path) -> None:
    room = path.stat().st_size + 40
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    with pytest.raises(RolloutError, match=r"journal\.jsonl' cannot be written: No space left on device\."):
        journal.append(path, Record("end", "pass"))


def test_a_record_that_does_not_fit_leaves_no_part_of_itself(path: Path) -> None:
    before = b"".join(filled(path))
    worker = multiprocessing.get_context("fork").Process(target=_write_too_much, args=(path,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert path.read_bytes() == before
