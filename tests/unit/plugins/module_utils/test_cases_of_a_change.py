# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One table of cases for both: ``machine`` and the module's confirm in Python, and the guard, run by real shells.

What the guard did is read from the host's files: which record is there, what it says, which digest and files are
active, which receipts were written.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from host_fixtures import state_below
from test_guard_script import NEW, OLD, Host, make

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    confirmation,
    guard,
    machine,
    receipts,
    records,
    store,
)

CASES = json.loads(Path(__file__).with_name("cases_of_a_change.json").read_text())
SHELLS = (["dash"], ["bash", "--posix"])
CODES = {"leave": 0, "back": 0, "held": 0, "begin again": 75}


def named(case: dict[str, Any]) -> str:
    return f"{case['event']}: {case['why']}"


def of(*events: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["event"] in events]


def state(case: dict[str, Any]) -> machine.State:
    return machine.NOTHING._replace(**case["state"])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_the_rules_say_so(case: dict[str, Any]) -> None:
    step = machine.step(state(case), case["event"])
    assert (step.answer, list(step.effects), step.phase) == (case["answer"], case["effects"], case["phase"])


def test_every_rule_has_a_case() -> None:
    used = set()
    for case in CASES:
        step = machine.step(state(case), case["event"])
        used.add((case["event"], case["state"].get("phase", "idle"), step))
    for events, phases, _when, phase, effects, answer in machine.RULES:
        for event in events if isinstance(events, tuple) else (events,):
            found = [
                entry
                for entry in used
                if entry[0] == event and entry[1] in phases and entry[2].answer == answer
                and entry[2].effects == effects and (phase is machine.SAME or entry[2].phase == phase)
            ]  # fmt: skip
            assert found, (event, phases, answer)


# --- the module's confirm ---


@pytest.mark.parametrize("case", of("confirm"), ids=named)
def test_the_module_confirms_so(
    case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dismissed: list[str] = []
    monkeypatch.setattr(guard, "dismiss", dismissed.append)
    place = state_below(monkeypatch, tmp_path)
    wanted = state(case)
    pend(place, wanted)
    if wanted.last:
        records.write(place.at(f"{wanted.last}.json"), {"nonce": "n1"})
    before = told(place)
    answer = confirmation.confirm("web", "n1", 60 if wanted.lease else 0)
    assert answer["state"] == case["answer"]
    assert answer["changed"] is bool(case["effects"])
    assert happened(place, before) + (["dismiss"] if dismissed else []) == case["effects"]
    assert (place.state().phase == machine.IDLE) is (case["phase"] == "idle")


def pend(place: store.Store, wanted: machine.State, **fields: str) -> None:
    """The records of a change as ``wanted`` says."""
    if wanted.phase == machine.IDLE:
        return
    known = {"from": "a" * 64, "to": "b" * 64, "rollout": "", "epoch": 1, **fields}
    known.update(
        phase=wanted.phase,
        nonce="n1" if wanted.ours else "n2",
        boot_id=store.boot_id(),
        deadline=store.uptime() + (600 if wanted.in_time else -1),
        lapse="hold" if wanted.hold else "revert",
    )
    place.write_pending(known)
    if wanted.phase == machine.TORN:
        Path(place.at("pending.json")).write_text('{"sum": "0')
    if wanted.phase == machine.REVERTING:
        Path(place.at("pending.json")).rename(place.at("reverting.json"))


def told(place: store.Store) -> tuple[dict[str, bytes], int]:
    content = {path.name: path.read_bytes() for path in Path(place.path).glob("*.json")}
    return content, len(receipts.load(place.at("receipts.jsonl"))[0])


def happened(place: store.Store, before: tuple[dict[str, bytes], int]) -> list[str]:
    """The effects that can be seen in the records: which were written, and which receipts came."""
    content, _count = told(place)
    found = []
    for name in sorted(content):
        if content[name] != before[0].get(name):
            soaking = name == "pending.json" and place.record("pending").get("phase") == machine.SOAKING
            found.append("record soaking" if soaking else f"record {name[:-5]}")
    events = [entry["event"] for entry in receipts.load(place.at("receipts.jsonl"))[0][before[1] :]]
    return found + [f"receipt {event}" for event in events]


# --- the guard ---


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return make(tmp_path, monkeypatch, OLD, NEW)


def prepare(host: Host, wanted: machine.State) -> None:
    host.pend(
        phase=wanted.phase,
        nonce="n1",
        deadline=store.uptime() + (600 if wanted.in_time else -1),
        lapse="hold" if wanted.hold else "revert",
    )
    Path(host.place.at("pending.json")).unlink()
    pend(host.place, wanted)
    if not wanted.switched:
        host.place.set_active("a" * 64)
        if wanted.phase in (machine.ARMED, machine.IDLE):
            for name, text in OLD.items():
                (host.root / "etc" / name).write_text(text)
            for name in NEW.keys() - OLD.keys():
                (host.root / "etc" / name).unlink()
    if not wanted.whole:
        Path(host.place.generation("a" * 64), "files", "0").write_text("forged\n")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
@pytest.mark.parametrize("case", of("look", "act", "revert"), ids=named)
def test_the_guard_does_so(case: dict[str, Any], shell: list[str], host: Host) -> None:
    wanted = state(case)
    if case["event"] != "revert" and not wanted.ours and wanted.phase != machine.IDLE:
        pytest.skip("the guard learns its nonce when it starts: see the test below")
    if case["event"] == "act" and case["answer"] in ("leave", "begin again"):
        pytest.skip("what changes while it waits for the lock: see the tests below")
    prepare(host, wanted)
    before = told(host.place)
    words = ["revert", "web", "n1"] if case["event"] == "revert" else ["wait", "web"]
    argv = [*shell, str(Path(store.BASE) / "guard"), *words]
    if case["answer"] == "wait":
        assert waits(host, argv, wanted.held)
        assert told(host.place) == before
        return
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    if case["event"] == "look":
        assert done.returncode == 0, done.stderr
        return
    failed = case["answer"] == "failed" and case["event"] == "revert"
    assert done.returncode == (1 if failed else CODES.get(case["answer"], 0)), done.stderr
    wanted_records = [name for name in case["effects"] if name.startswith(("record", "receipt"))]
    assert happened(host.place, before) == [name for name in wanted_records if name != "record reverting"]
    back = "files back" in case["effects"] or not wanted.switched
    assert host.place.active() == ("a" * 64 if back else "b" * 64)
    dropin = (host.root / "etc/web.service.d/zz-bulkhead.conf").read_text()
    assert dropin == ("old\n" if back else "new\n")
    assert host.place.state().phase == case["phase"]


def waits(host: Host, argv: list[str], held: bool) -> bool:
    with open(host.place.at("lock"), "w") as lock:
        if held:
            fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
            try:
                process.wait(timeout=0.7)
                return False
            except subprocess.TimeoutExpired:
                return True
            finally:
                process.kill()


@pytest.mark.parametrize(
    ("why", "change", "code"),
    [
        ("confirmed while it waited for the lock", lambda host: host.place.confirm(), 0),
        ("renewed while it waited for the lock", lambda host: host.pend(phase="soaking"), 75),
        ("got its time to be confirmed while it waited", lambda host: host.pend(), 75),
        ("another change is pending by now", lambda host: host.pend(nonce="n2", deadline=0), 75),
    ],
)
def test_what_changes_while_the_guard_waits_for_the_lock(
    host: Host, why: str, change: Any, code: int
) -> None:
    assert why in {case["why"] for case in of("act")}
    host.pend(deadline=0)
    argv = ["sh", str(Path(store.BASE) / "guard"), "wait", "web"]
    with host.place.lock(), subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        change(host)
        before = told(host.place)
        host.place._lock, descriptor = None, host.place._lock
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        assert process.wait(timeout=10) == code
    assert told(host.place) == before


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_a_file_that_cannot_be_put_back_leaves_the_change_and_is_told_once(
    host: Host, shell: list[str]
) -> None:
    """The case of ``stuck``: its directory is a file."""
    host.pend(deadline=0)
    folder = host.root / "etc/web.service.d"
    (folder / "zz-bulkhead.conf").unlink()
    folder.rmdir()
    folder.write_text("")
    argv = [*shell, str(Path(store.BASE) / "guard"), "revert", "web", "n1"]
    for _time in range(2):
        assert subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 1
    assert host.events() == ["REVERTING"]
    assert host.place.state().phase == machine.REVERTING
    entry = receipts.load(host.place.at("receipts.jsonl"))[0][-1]
    assert entry["detail"] == f"stuck at {folder}/zz-bulkhead.conf"
    folder.unlink()
    assert subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    assert host.events() == ["REVERTING", "REVERTED"]
    assert (folder / "zz-bulkhead.conf").read_text() == "old\n"
