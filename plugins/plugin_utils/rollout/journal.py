# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout's journal: append-only JSON lines, each sealed with the hash of the one before.

A record is on disk (fsync) before what it announces may happen. Ansible's forks write at the same time, so
an append holds a file lock. A crash can leave an unfinished last line: it was never a record. Readers skip
it, and the next append removes it and says so.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeGuard

from .errors import RolloutError

GENESIS = "0" * 64
HIGHEST_EPOCH = 2**53  # what any reader of JSON keeps whole
_TAIL = 65536
_PLAN = re.compile(r"plan ([0-9a-f]{64})\b")


@dataclass(frozen=True)
class Record:
    """One line. ``host`` is empty for what concerns a whole wave or the rollout; ``from_digest`` and
    ``to_digest`` are written as ``from`` and ``to``; ``exposure`` shows how much was looked at."""

    phase: str  # plan, approval, control, resume, apply, poll, gate, rollback, end, journal
    outcome: str
    rollout: str = ""
    epoch: int = 0
    wave: str = ""
    host: str = ""
    from_digest: str = ""
    to_digest: str = ""
    policy: str = ""
    detail: str = ""
    exposure: dict[str, Any] = field(default_factory=dict, hash=False)
    seq: int = 0
    time: str = ""
    prev: str = ""
    hash: str = ""


@dataclass(frozen=True)
class Journal:
    """What could be read. ``torn``: bytes of an unfinished last line."""

    records: tuple[Record, ...] = ()
    torn: int = 0


_TO_FILE = {"from_digest": "from", "to_digest": "to"}
_FROM_FILE = {"from": "from_digest", "to": "to_digest"}
_NAMES = frozenset(_TO_FILE.get(item.name, item.name) for item in fields(Record))


def is_epoch(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= HIGHEST_EPOCH


def now() -> str:
    """UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def append(path: Path, record: Record, time: str = "") -> Record:
    """Seal ``record`` to the end of the journal and wait for the disk. Returns it with seq, time and hashes.

    Raises RolloutError when the file cannot be written or its last record does not check out.
    """
    return extend(path, [record], time)[0]


def extend(path: Path, records: Iterable[Record], time: str = "") -> list[Record]:
    """The same for several records: they reach the disk together, with one wait for it."""
    wanted = list(records)
    with _open(path) as handle:
        last, torn = _last(path, handle)
        if torn and wanted:
            os.ftruncate(handle, os.fstat(handle).st_size - torn)
            detail = f"an unfinished line of {torn} bytes was removed"
            first = wanted[0]
            wanted.insert(0, Record("journal", "repaired", first.rollout, first.epoch, detail=detail))
        sealed = _write(path, handle, last, wanted, time) if wanted else []
    return sealed[1:] if torn and sealed else sealed


def read(path: Path) -> Journal:
    """Read and check the whole chain.

    Raises RolloutError naming the first line that was changed, removed, repeated or is no record. An
    unfinished last line is tolerated and counted in ``torn``.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RolloutError(f"The journal '{path}' cannot be read: {error.strerror}.") from error
    lines = content.split(b"\n")
    torn = len(lines.pop())
    records: list[Record] = []
    previous = GENESIS
    for number, line in enumerate(lines, start=1):
        record = _parse(path, number, line)
        if record.seq != number or record.prev != previous:
            raise _tampered(path, number, "does not follow the line before it")
        records.append(record)
        previous = record.hash
    return Journal(tuple(records), torn)


def planned(path: Path) -> str:
    """The hash of the plan that the journal begins with, by its first line alone; "" where it has none."""
    try:
        with path.open("rb") as stream:
            line = stream.readline()
    except OSError:
        return ""
    first = _parse(path, 1, line) if line.endswith(b"\n") else None
    found = _PLAN.match(first.detail) if first and first.phase == "plan" else None
    return found[1] if found else ""


def _seal(record: Record) -> str:
    body = {name: value for name, value in _to_data(record).items() if name != "hash"}
    return hashlib.sha256(_canonical(body)).hexdigest()


def _canonical(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


def _to_data(record: Record) -> dict[str, Any]:
    return {_TO_FILE.get(item.name, item.name): getattr(record, item.name) for item in fields(record)}


def _parse(path: Path, number: int, line: bytes) -> Record:
    try:
        data = json.loads(line)
    except ValueError as error:
        raise _tampered(path, number, "is no JSON") from error
    if not isinstance(data, dict) or set(data) != _NAMES:
        raise _tampered(path, number, "is no record")
    arguments: dict[str, Any] = {}
    for name, value in data.items():
        arguments[_FROM_FILE.get(name, str(name))] = value
    record = Record(**arguments)
    if record.hash != _seal(record):
        raise _tampered(path, number, "was changed after it was written")
    return record


def _tampered(path: Path, number: int, what: str) -> RolloutError:
    place = f"Line {number}" if number else "The last line"
    return RolloutError(
        f"{place} of the journal '{path}' {what}.",
        "Keep the file as evidence. The hosts' own receipts say what runs where.",
    )


@contextmanager
def _open(path: Path) -> Iterator[int]:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RolloutError(f"The journal '{path}' cannot be opened: {error.strerror}.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _last(path: Path, handle: int) -> tuple[Record | None, int]:
    """The last whole record and the bytes of an unfinished line after it, from the file's end alone:
    reading the whole file for each append would cost the square of the fleet's size."""
    size = os.fstat(handle).st_size
    want = _TAIL
    while True:
        start = max(0, size - want)
        tail = os.pread(handle, size - start, start)
        whole, _sep, rest = tail.rpartition(b"\n")
        if start == 0 and b"\n" not in tail:
            return None, len(tail)
        if b"\n" in tail and (start == 0 or b"\n" in whole):
            line = whole.rpartition(b"\n")[2]
            return _parse(path, 0, line), len(rest)
        want *= 4


def _write(path: Path, handle: int, last: Record | None, records: list[Record], time: str) -> list[Record]:
    sealed: list[Record] = []
    for record in records:
        one = replace(
            record,
            seq=last.seq + 1 if last else 1,
            prev=last.hash if last else GENESIS,
            time=time or now(),
            hash="",
        )
        last = replace(one, hash=_seal(one))
        sealed.append(last)
    content = b"".join(_canonical(_to_data(one)) + b"\n" for one in sealed)
    size = os.fstat(handle).st_size
    try:
        if os.write(handle, content) != len(content):
            raise OSError(28, "No space left on device")
        os.fsync(handle)
    except OSError as error:
        os.ftruncate(handle, size)
        raise RolloutError(f"The journal '{path}' cannot be written: {error.strerror}.") from error
    return sealed
