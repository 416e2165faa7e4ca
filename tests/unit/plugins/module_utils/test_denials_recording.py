# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_recording, denials_unrecorded


class Manager:
    """Keeps a variable as systemd does: until a file gives it another value. Reads the files of ``root``."""

    def __init__(self, root: Path) -> None:
        self.root, self.records = root, False
        self.words: list[str] = []

    def __call__(self, argv: list[str], _what: str, timeout: float) -> None:
        self.words.append(argv[1])
        for path in sorted(self.root.rglob(denials_recording.NAME)):
            self.records = b"SYSTEMD_LOG_SECCOMP=1" in path.read_bytes()


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Manager:
    made = Manager(tmp_path)
    monkeypatch.setattr(denials_recording, "must", made)
    return made


def test_the_switch_is_one_file_that_comes_moves_and_goes(tmp_path: Path, manager: Manager) -> None:
    places = {False: str(tmp_path / "run/system.conf.d"), True: str(tmp_path / "etc/system.conf.d")}
    settle = denials_recording.settle
    assert settle("present", False, True, places)["changed"] and not (tmp_path / "run").exists()
    answer = settle("present", False, False, places)
    path = tmp_path / "run/system.conf.d/zz-bulkhead-denials.conf"
    assert answer == {"changed": True, "paths": [str(path)]}
    assert path.stat().st_mode & 0o777 == 0o644
    actions = tmp_path / "actions"
    actions.write_text("kill_process kill_thread trap errno user_notif trace log\n")
    assert denials_unrecorded.seccomp_recorded([str(path)], str(actions))
    actions.write_text("kill_process log\n")
    assert not denials_unrecorded.seccomp_recorded([str(path)], str(actions))
    assert not settle("present", False, False, places)["changed"]
    settle("present", True, False, places)
    assert not path.exists() and (tmp_path / "etc/system.conf.d/zz-bulkhead-denials.conf").exists()
    assert manager.records
    assert settle("absent", False, False, places) == {"changed": True, "paths": []}
    assert not manager.records
    assert not settle("absent", False, False, places)["changed"]
    assert not list(tmp_path.rglob("*.d"))
    assert set(manager.words) == {"daemon-reload"}


def test_a_file_that_somebody_changed_is_put_right(tmp_path: Path, manager: Manager) -> None:
    places = {False: str(tmp_path / "a"), True: str(tmp_path / "b")}
    denials_recording.settle("present", False, False, places)
    (tmp_path / "a/zz-bulkhead-denials.conf").write_text("[Manager]\n")
    assert denials_recording.settle("present", False, False, places)["changed"]
    assert (tmp_path / "a/zz-bulkhead-denials.conf").read_bytes() == denials_recording.CONTENT


def test_other_files_of_the_folder_stay(tmp_path: Path, manager: Manager) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/own.conf").write_text("")
    places = {False: str(tmp_path / "a"), True: str(tmp_path / "b")}
    denials_recording.settle("present", False, False, places)
    denials_recording.settle("absent", False, False, places)
    assert [one.name for one in (tmp_path / "a").iterdir()] == ["own.conf"]


def test_clauses_whose_mechanisms_leave_no_record_are_named_with_the_reason() -> None:
    verdicts = [
        {"clause": "filesystem.write", "mechanisms": ["systemd ProtectSystem", "systemd ReadWritePaths"]},
        {"clause": "processes.syscalls", "mechanisms": ["systemd SystemCallFilter"]},
        {"clause": "network.connect", "mechanisms": ["nftables output chain by slice"]},
        {"clause": "files.max_open", "mechanisms": ["systemd LimitNOFILE"]},
    ]
    found = {
        one["mechanism"]: one for one in denials_unrecorded.unrecorded(verdicts, False, "6.1.0-49-amd64")
    }
    assert found["mounts"]["clauses"] == ["filesystem.write"]
    assert found["limits"]["clauses"] == ["files.max_open"]
    assert found["seccomp"]["clauses"] == ["processes.syscalls"]
    assert "denials_record" in found["seccomp"]["reason"]
    assert "seccomp" not in {
        one["mechanism"] for one in denials_unrecorded.unrecorded(verdicts, True, "6.1.0-49-amd64")
    }


@pytest.mark.parametrize(
    ("release", "silent"),
    [("6.1.0-49-cloud-amd64", False), ("6.12.117+deb13-cloud-amd64", True), ("strange", False)],
)
def test_a_kernel_that_refuses_writable_code_itself_leaves_no_record(release: str, silent: bool) -> None:
    verdicts = [
        {"clause": "memory.writable_and_executable", "mechanisms": ["systemd MemoryDenyWriteExecute"]}
    ]
    found = denials_unrecorded.unrecorded(verdicts, True, release)
    assert [one["mechanism"] for one in found] == (["writable_code"] if silent else [])
