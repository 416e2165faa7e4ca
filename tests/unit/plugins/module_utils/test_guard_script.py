# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard itself, run by a real sh on real files. Only systemctl is a stand-in: it notes what it is told.

tests/lab/test_sandbox.py runs the guard with the real one.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from host_fixtures import bundle, state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    bundles,
    files,
    guard_script,
    receipts,
    store,
)

FAILING = 'case "$*" in *"$(cat "${0%/*}/fails" 2>/dev/null || echo none)"*) exit 1 ;; esac'


@dataclass
class Host:
    """State of policy web with generations b (installed, to) and, unless it is the first, a (from)."""

    root: Path
    place: store.Store
    old: bundles.Bundle | None
    new: bundles.Bundle

    def guard(self, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        argv = ["sh", str(Path(store.BASE) / "guard"), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)

    def told(self) -> list[str]:
        path = self.root / "bin/told"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not line.startswith("show ")]

    def events(self) -> list[str]:
        entries, fault = receipts.load(self.place.at("receipts.jsonl"))
        assert fault == ""
        return [entry["event"] for entry in entries]

    def pend(self, restart: tuple[str, ...] = ("web.service",), **changes: object) -> None:
        fields: dict[str, object] = {
            "from": self.old.digest if self.old else "",
            "to": self.new.digest,
            "nonce": "n1",
            "phase": "pending",
            "boot_id": store.boot_id(),
            "deadline": store.uptime() + 600,
            "epoch": 3,
            "rollout": "r-1",
            "lapse": "revert",
        }
        found = SimpleNamespace(restart=restart, facts={"web.service": {"InvocationID": "run1"}})
        self.place.lay_back(fields, self.old, self.new, found)
        self.place.write_pending({**fields, **changes})


def make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: dict[str, str] | None, new: dict[str, str]
) -> Host:
    place = state_below(monkeypatch, tmp_path)
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin/systemctl"
    stub.write_text(
        f'#!/bin/sh\necho "$*" >>"${{0%/*}}/told"\n{FAILING}\ncat "${{0%/*}}/group" 2>/dev/null\nexit 0\n'
    )
    stub.chmod(0o755)
    script = guard_script.SCRIPT.replace("PATH=/usr/sbin", f"PATH={tmp_path}/bin:/usr/sbin", 1)
    script = script.replace("/sys/kernel/security/apparmor", f"{tmp_path}/kernel", 1)
    script = script.replace("/var/cache/apparmor", f"{tmp_path}/cache")
    Path(store.BASE, "guard").write_text(script)
    Path(store.BASE, "made").write_text("")
    (tmp_path / "etc/web.service.d").mkdir(parents=True)
    etc = tmp_path / "etc"
    first = (
        bundle(etc, old, "a", ("bulkhead-web.slice", "bulkhead-net-web.service")) if old is not None else None
    )
    second = bundle(etc, new, "b", ("bulkhead-web.slice", "bulkhead-net-web.service"))
    for each in (first, second):
        if each:
            place.stage(each)
    for item in second.artifacts:
        files.write(item.path, item.content, item.mode, os.getuid(), os.getgid())
    place.set_active(second.digest)
    return Host(tmp_path, place, first, second)


OLD = {"web.service.d/zz-bulkhead.conf": "old\n", "bulkhead-web.slice": "same\n"}
NEW = {
    "web.service.d/zz-bulkhead.conf": "new\n",
    "bulkhead-web.slice": "same\n",
    "bulkhead-net-web.service": "added\n",
    "web.nft": "added\n",
}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    host = make(tmp_path, monkeypatch, OLD, NEW)
    host.pend()
    yield host


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    host = make(tmp_path, monkeypatch, None, NEW)
    host.pend()
    yield host


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    path.write_text(guard_script.SCRIPT)
    done = subprocess.run(["shellcheck", "-s", "sh", str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("old", [OLD, None], ids=["to the one before", "to none"])
def test_killed_at_any_step_that_lasts_it_is_all_back_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: dict[str, str] | None
) -> None:
    for number in itertools.count(1):
        root = tmp_path / str(number)
        root.mkdir()
        host = make(root, monkeypatch, old, NEW)
        host.pend()
        before = times(root)
        stub = root / "bin/sync"
        stub.write_text(
            f'#!/bin/sh\necho >>"$0.n"; [ $(wc -l <"$0.n") -ne {number} ] || kill -KILL $PPID\nexec /bin/sync "$@"\n'
        )
        stub.chmod(0o755)
        killed = host.guard("revert", "web", "n1").returncode == -9
        stub.unlink()
        assert host.guard("revert", "web", "n1").returncode == 0
        assert host.place.active() == (host.old.digest if host.old else ""), f"killed at sync {number}"
        assert times(root) == before, f"killed at sync {number}"
        assert host.place.record("reverted"), f"killed at sync {number}"
        if not killed:
            break
    assert number > 5


def times(root: Path) -> dict[str, int]:
    return {name: (root / "etc" / name).stat().st_mtime_ns for name in ("", "web.service.d")}


def test_it_stays_short_enough_to_be_read() -> None:
    assert len(guard_script.SCRIPT.splitlines()) < 200


def test_a_revert_restores_bytes_modes_and_what_was_not_there(host: Host) -> None:
    etc = host.root / "etc"
    (etc / "web.service.d/zz-bulkhead.conf").chmod(0o600)
    before = (etc.stat().st_mtime_ns, (etc / "web.service.d").stat().st_mtime_ns)
    assert host.guard("revert", "web", "n1").returncode == 0
    assert (etc / "web.service.d/zz-bulkhead.conf").read_text() == "old\n"
    assert (etc / "web.service.d/zz-bulkhead.conf").stat().st_mode & 0o7777 == 0o644
    assert sorted(path.name for path in etc.iterdir()) == ["bulkhead-web.slice", "web.service.d"]
    assert host.place.active() == "a" * 64
    assert host.place.record("pending") == {}
    assert host.place.record("reverted")["nonce"] == "n1"
    assert host.events() == ["REVERTED"]
    assert (etc.stat().st_mtime_ns, (etc / "web.service.d").stat().st_mtime_ns) == before


def test_the_application_lets_go_before_our_units_stop(host: Host) -> None:
    host.guard("revert", "web", "n1")
    assert host.told() == [
        "daemon-reload",
        "start -- bulkhead-web.slice",
        "reload-or-restart -- bulkhead-net-web.service",
        "reset-failed -- web.service",
        "restart -- web.service",
        "stop -- bulkhead-net-web.service",
        "daemon-reload",
    ]


def test_a_unit_of_ours_that_cannot_reload_with_its_old_file_starts_anew(host: Host) -> None:
    (host.root / "bin/fails").write_text("reload-or-restart")
    assert host.guard("revert", "web", "n1").returncode == 0
    assert "restart -- bulkhead-net-web.service" in host.told()
    assert host.events() == ["REVERTED"]


def test_a_first_change_is_taken_away_altogether(first: Host) -> None:
    etc = first.root / "etc"
    Path(store.BASE, "made").write_text(f"{etc}/web.service.d\n")
    assert first.guard("revert", "web", "n1").returncode == 0
    assert list(etc.iterdir()) == []
    assert first.place.active() == ""
    assert first.events() == ["REVERTED"]
    assert "stop -- bulkhead-web.slice bulkhead-net-web.service" in first.told()


def test_an_application_started_meanwhile_is_moved_out_of_our_slice(first: Host) -> None:
    first.pend(restart=())
    (first.root / "bin/group").write_text("ActiveState=active\nInvocationID=another\n")
    first.guard("revert", "web", "n1")
    told = first.told()
    stop = told.index("stop -- bulkhead-web.slice bulkhead-net-web.service")
    assert told.index("restart -- web.service") < stop


@pytest.mark.parametrize("before", [True, False])
def test_a_profile_that_was_not_there_leaves_the_kernel_and_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    profile = {"bulkhead.web": "profile\n"}
    host = make(tmp_path, monkeypatch, {**OLD, **profile} if before else OLD, {**NEW, **profile})
    host.pend()
    for folder in ("kernel", "cache/1a.0"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "kernel/profiles").write_text("bulkhead.web2 (enforce)\nbulkhead.web (enforce)\n")
    (tmp_path / "cache/1a.0/bulkhead.web").write_text("binary")
    assert host.guard("revert", "web", "n1").returncode == 0
    removed = tmp_path / "kernel/.remove"
    assert (removed.read_text() if removed.exists() else "") == ("" if before else "bulkhead.web")
    assert (tmp_path / "cache/1a.0/bulkhead.web").exists() is before
    assert (tmp_path / "etc/bulkhead.web").exists() is before


def test_a_directory_that_we_did_not_make_stays(first: Host) -> None:
    first.guard("revert", "web", "n1")
    assert [path.name for path in (first.root / "etc").iterdir()] == ["web.service.d"]


def test_another_nonce_changes_nothing(host: Host) -> None:
    assert host.guard("revert", "web", "n2").returncode == 0
    assert (host.root / "etc/web.service.d/zz-bulkhead.conf").read_text() == "new\n"
    assert host.told() == [] and host.events() == []


def test_nothing_was_switched_yet(host: Host) -> None:
    host.place.set_active("a" * 64)
    host.pend(phase="armed")
    assert host.guard("revert", "web", "n1").returncode == 0
    assert host.told() == [] and host.events() == ["ABANDONED"]
    assert (host.root / "etc/web.service.d/zz-bulkhead.conf").read_text() == "new\n"


def test_a_damaged_generation_is_not_installed(host: Host) -> None:
    Path(host.place.generation("a" * 64), "files", "0").write_text("forged\n")
    host.pend(phase="armed")
    assert host.guard("rehearse", "web").returncode == 1
    assert host.guard("revert", "web", "n1").returncode == 1
    assert (host.root / "etc/web.service.d/zz-bulkhead.conf").read_text() == "new\n"
    assert host.events() == ["REVERT_FAILED"]
    entry = receipts.load(host.place.at("receipts.jsonl"))[0][-1]
    assert entry["detail"] == "the generation before is damaged;"


def test_an_application_that_does_not_come_back_is_told(host: Host) -> None:
    (host.root / "bin/fails").write_text("restart -- web.service")
    assert host.guard("revert", "web", "n1").returncode == 1
    assert host.events() == ["REVERT_FAILED"]
    assert (host.root / "etc/web.service.d/zz-bulkhead.conf").read_text() == "old\n"


def test_a_torn_record_goes_back_the_way_that_was_laid_down(host: Host) -> None:
    Path(host.place.at("pending.json")).write_text('{\n "boot_id": "x')
    assert host.guard("wait", "web").returncode == 0
    assert (host.root / "etc/web.service.d/zz-bulkhead.conf").read_text() == "old\n"
    assert host.place.active() == "a" * 64


def test_rehearsal_changes_nothing(host: Host) -> None:
    host.pend(phase="armed")
    before = sorted((str(p), p.stat().st_mtime_ns) for p in host.root.rglob("*"))
    assert host.guard("rehearse", "web").returncode == 0
    assert sorted((str(p), p.stat().st_mtime_ns) for p in host.root.rglob("*")) == before


def test_the_deadline_reverts(host: Host) -> None:
    host.pend(deadline=store.uptime() + 2)
    assert host.guard("wait", "web").returncode == 0
    assert host.events() == ["REVERTED"]


def test_another_boot_reverts_at_once(host: Host) -> None:
    host.pend(boot_id="another")
    assert host.guard("wait", "web", timeout=10).returncode == 0
    assert host.events() == ["REVERTED"]


def test_who_dies_while_applying_is_noticed_by_the_free_lock(host: Host) -> None:
    host.pend(phase="armed")
    assert host.guard("wait", "web", timeout=10).returncode == 0
    assert host.events() == ["REVERTED"]


def test_a_confirmed_change_ends_the_wait(host: Host) -> None:
    argv = ["sh", str(Path(store.BASE) / "guard"), "wait", "web"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        host.place.confirm()
        assert process.wait(timeout=10) == 0
    assert host.told() == [] and host.events() == []


def test_while_somebody_applies_the_guard_waits(host: Host) -> None:
    host.pend(phase="armed")
    argv = ["sh", str(Path(store.BASE) / "guard"), "wait", "web"]
    with host.place.lock(), subprocess.Popen(argv, stderr=subprocess.PIPE) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=3)
        assert host.events() == []
        host.place.confirm()
        process.kill()


def test_a_boot_reverts_what_it_cut_off_without_waiting_for_jobs(host: Host) -> None:
    host.pend(boot_id="another")
    assert host.guard("recover").returncode == 0
    assert host.events() == ["REVERTED"]
    assert host.told() == [
        "daemon-reload",
        "--no-block start -- bulkhead-web.slice",
        "--no-block reload-or-restart -- bulkhead-net-web.service",
        "--no-block stop -- bulkhead-net-web.service",
        "daemon-reload",
    ]


def test_recover_leaves_a_change_of_this_boot_to_its_guard(host: Host) -> None:
    assert host.guard("recover").returncode == 0
    assert host.told() == ["--no-block start bulkhead-guard@web.service"]
    assert host.events() == []


def test_both_languages_write_one_chain(host: Host) -> None:
    host.place.receipt("PENDING", to="b" * 64)
    host.guard("revert", "web", "n1")
    host.place.receipt("APPLYING", to="c" * 64)
    assert host.events() == ["PENDING", "REVERTED", "APPLYING"]
    lines = Path(host.place.at("receipts.jsonl")).read_text().splitlines()
    assert {"time", "event", "boot_id", "from", "to", "nonce", "epoch", "detail", "previous", "sum"} == set(
        json.loads(lines[1])
    )
    assert json.loads(lines[1])["epoch"] == 3


# --- whose way back it is ---


def last(host: Host) -> dict[str, object]:
    found: dict[str, object] = receipts.load(host.place.at("receipts.jsonl"))[0][-1]
    return found


def test_who_adopts_a_change_and_dies_before_he_records_it_keeps_nothing_from_going_back(host: Host) -> None:
    host.pend(deadline=0)
    assert host.place.pass_back({"nonce": "n2", "epoch": 4})
    assert host.guard("wait", "web").returncode == 0
    assert host.events() == ["REVERTED"] and last(host)["nonce"] == "n1"
    assert "restart -- web.service" in host.told()


def test_a_way_back_that_is_lost_is_told_when_the_deadline_is_over(host: Host) -> None:
    host.pend(deadline=0)
    Path(host.place.at("back")).unlink()
    assert host.guard("wait", "web").returncode == 0
    assert host.events() == ["REVERT_FAILED"]
    told = last(host)
    assert (told["detail"], told["nonce"], told["to"]) == ("the way back is damaged;", "n1", "b" * 64)
    assert host.place.active() == "b" * 64


@pytest.mark.parametrize("word", ["nonce n1", "from " + "a" * 64])
def test_a_way_back_with_one_flipped_bit_is_not_gone(host: Host, word: str) -> None:
    host.pend(deadline=0)
    path = Path(host.place.at("back"))
    flipped = word[:-1] + chr(ord(word[-1]) ^ 2)
    path.write_text(path.read_text().replace(word, flipped, 1))
    assert host.guard("wait", "web").returncode == 0
    assert host.events() == ["REVERT_FAILED"]
    assert (host.root / "etc/web.service.d/zz-bulkhead.conf").read_text() == "new\n"


def test_the_way_back_of_another_change_is_not_gone(host: Host) -> None:
    host.pend(deadline=0, **{"from": "c" * 64})
    assert host.guard("wait", "web").returncode == 0
    assert host.events() == ["REVERT_FAILED"] and host.told() == []


@pytest.mark.parametrize(
    "odd",
    [
        {"phase": "dancing"},
        {"deadline": "soon"},
        {"deadline": "12"},
        {"deadline": 1.5},
        {"nonce": 7},
        {"nonce": None},
        {"epoch": "x"},
        {"epoch": -1.5},
        {"to": ["x"]},
    ],
)
def test_a_record_of_odd_content_counts_as_torn(host: Host, odd: dict[str, object]) -> None:
    host.pend(**odd)
    assert host.place.state().phase == "torn"
    assert host.guard("wait", "web").returncode == 0
    assert host.events() == ["REVERTED"] and host.place.active() == "a" * 64


# --- a way back that gets stuck ---


def refuse(host: Host, program: str, word: str) -> Path:
    """``program`` fails for arguments with ``word`` in them, as for an immutable file."""
    stub = host.root / "bin" / program
    stub.write_text(f'#!/bin/sh\ncase "$*" in *{word}*) exit 1 ;; esac\nexec /bin/{program} "$@"\n')
    stub.chmod(0o755)
    return stub


def test_a_record_that_cannot_be_closed_is_tried_again(host: Host) -> None:
    host.pend(deadline=0)
    stub = refuse(host, "mv", "reverted.json")
    assert host.guard("wait", "web").returncode == 75
    assert host.place.state().phase == "reverting" and host.events() == []
    stub.unlink()
    assert host.guard("wait", "web").returncode == 0
    assert host.events() == ["REVERTED"] and host.place.state().phase == "idle"


@pytest.mark.parametrize(
    ("fails", "end"), [("none", "REVERTED"), ("restart -- web.service", "REVERT_FAILED")]
)
def test_what_fails_late_restarts_the_application_once(host: Host, fails: str, end: str) -> None:
    (host.root / "bin/fails").write_text(fails)
    stub = refuse(host, "rm", "bulkhead-net-web.service")
    for _time in range(3):
        assert host.guard("revert", "web", "n1").returncode == 1
    assert host.told().count("restart -- web.service") == 1
    assert host.told().count("daemon-reload") == 1
    assert host.events() == ["REVERTING"]
    assert last(host)["detail"] == f"stuck at {host.root}/etc/bulkhead-net-web.service"
    stub.unlink()
    assert host.guard("revert", "web", "n1").returncode == (0 if end == "REVERTED" else 1)
    assert host.events() == ["REVERTING", end]
    assert ("the application" in str(last(host)["detail"])) is (end == "REVERT_FAILED")
    host.pend()
    assert not Path(host.place.at("restarted")).exists()


def test_at_the_end_a_full_disk_needs_room_for_nothing(host: Host) -> None:
    refuse(
        host, "cat", "nothing"
    )  # a stub that lets all through: the shell's own echo is what must not be needed
    before = Path(host.place.at("active.new")).stat().st_ino
    assert host.guard("revert", "web", "n1").returncode == 0
    assert Path(host.place.at("active")).stat().st_ino == before


def test_the_step_that_really_failed_is_named(host: Host) -> None:
    refuse(host, "mv", "active.new")
    assert host.guard("revert", "web", "n1").returncode == 1
    assert last(host)["detail"] == f"stuck at {host.place.at('active')}"


# --- what restarts is decided on the way back ---


@pytest.mark.parametrize(
    ("phase", "shown", "restarts"),
    [
        ("pending", "ActiveState=inactive", False),
        ("soaking", "ActiveState=inactive", False),
        ("armed", "ActiveState=inactive", True),  # it may be our own change that it did not survive
        ("pending", "ActiveState=failed", True),
        ("pending", "ActiveState=activating", True),
    ],
)
def test_who_was_stopped_while_the_change_waited_stays_stopped(
    host: Host, phase: str, shown: str, restarts: bool
) -> None:
    host.pend(phase=phase)
    (host.root / "bin/group").write_text(f"{shown}\nInvocationID=\n")
    assert host.guard("revert", "web", "n1").returncode == 0
    assert ("restart -- web.service" in host.told()) is restarts


@pytest.mark.parametrize(
    ("state", "run", "restarts"),
    [
        ("active", "run2", True),
        ("active", "run1", False),
        ("activating", "run2", True),
        ("inactive", "run2", False),
        ("failed", "run2", False),
    ],
)
def test_who_was_started_since_the_switch_starts_anew(
    host: Host, state: str, run: str, restarts: bool
) -> None:
    host.pend(restart=())
    (host.root / "bin/group").write_text(f"ActiveState={state}\nInvocationID={run}\n")
    assert host.guard("revert", "web", "n1").returncode == 0
    assert ("restart -- web.service" in host.told()) is restarts


# --- what stands in a file's place ---


def test_a_link_in_a_files_place_is_replaced_and_not_followed(host: Host) -> None:
    path, elsewhere = host.root / "etc/bulkhead-web.slice", host.root / "elsewhere"
    elsewhere.mkdir()
    path.unlink()
    path.symlink_to(elsewhere)
    assert host.guard("revert", "web", "n1").returncode == 0
    assert path.read_text() == "same\n" and not path.is_symlink()
    assert list(elsewhere.iterdir()) == []


def test_a_directory_in_a_files_place_is_told(host: Host) -> None:
    path = host.root / "etc/bulkhead-web.slice"
    path.unlink()
    path.mkdir()
    assert host.guard("revert", "web", "n1").returncode == 1
    assert host.events() == ["REVERTING"] and last(host)["detail"] == f"stuck at {path}"
    assert list(path.iterdir()) == []
    path.rmdir()
    assert host.guard("revert", "web", "n1").returncode == 0


def test_a_lock_that_is_a_link_is_not_written_through(host: Host) -> None:
    precious = host.root / "precious"
    precious.write_text("precious\n")
    host.pend(deadline=0)
    Path(host.place.at("lock")).symlink_to(precious)
    assert host.guard("wait", "web").returncode == 0
    assert precious.read_text() == "precious\n" and host.events() == ["REVERTED"]
