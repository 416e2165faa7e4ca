# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guard has on a host: written once, left alone after that, and gone without a trace."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from host_fixtures import state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    files,
    footprint,
    forward,
    guard,
    guard_files,
)


@pytest.fixture
def units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of units, of whoever runs the tests; ``reloads`` in it counts what systemd was told."""
    state_below(monkeypatch, tmp_path)
    monkeypatch.setattr(footprint, "ASIDE", str(tmp_path / "aside"))
    folder = tmp_path / "units"
    folder.mkdir()
    for name in ("GUARD_UNIT", "RECOVER_UNIT", "RECOVER_LINK"):
        below = os.path.relpath(getattr(guard_files, name), guard_files.UNIT_DIRECTORY)
        monkeypatch.setattr(guard_files, name, str(folder / below))
    reloads = tmp_path / "reloads"
    reloads.write_text("")
    monkeypatch.setattr(guard_files.units, "reload_manager", lambda: reloads.write_text("reload"))
    return folder


def test_it_is_there_whole_and_writing_it_again_changes_nothing(units: Path) -> None:
    assert not guard_files.installed()
    guard_files.install()
    assert guard_files.installed()
    kept = [guard.script_path(), *guard_files.paths()[:2]]
    assert [stat.S_IMODE(Path(path).stat().st_mode) for path in kept] == [0o700, 0o644, 0o644]
    assert Path(guard_files.RECOVER_LINK).resolve() == Path(guard_files.RECOVER_UNIT)
    before = [Path(path).lstat().st_mtime_ns for path in guard_files.paths()]
    guard_files.install()
    assert [Path(path).lstat().st_mtime_ns for path in guard_files.paths()] == before


@pytest.mark.parametrize("lost", ["guard", "unit", "link"])
def test_what_was_lost_or_changed_is_told_and_written_again(units: Path, lost: str) -> None:
    guard_files.install()
    path = {"guard": guard.script_path(), "unit": guard_files.GUARD_UNIT, "link": guard_files.RECOVER_LINK}[
        lost
    ]
    Path(path).unlink()
    assert not guard_files.installed()
    guard_files.install()
    assert guard_files.installed()


def test_systemd_reads_anew_only_what_it_has_read_before(units: Path, tmp_path: Path) -> None:
    guard_files.install()
    assert (tmp_path / "reloads").read_text() == ""
    files.write(guard_files.GUARD_UNIT, b"[Service]\n", 0o644, os.getuid(), os.getgid())
    guard_files.install()
    assert (tmp_path / "reloads").read_text() == "reload"


@pytest.mark.parametrize("name", ["GUARD_UNIT", "RECOVER_UNIT"])
def test_a_unit_of_an_earlier_version_is_read_anew(units: Path, tmp_path: Path, name: str) -> None:
    guard_files.install()
    files.write(getattr(guard_files, name), b"[Service]\n", 0o644, os.getuid(), os.getgid())
    guard_files.install()
    assert (tmp_path / "reloads").read_text() == "reload"


def test_what_starts_with_userspace_closes_debug_overlays_before_it_reverts(units: Path) -> None:
    lines = guard_files._wanted()[guard_files.RECOVER_UNIT].decode().splitlines()
    assert "ConditionPathExistsGlob=|/run/bulkhead/debug/*/state.json" in lines
    closes, reverts = (line for line in lines if line.startswith("ExecStart="))
    assert closes.startswith("ExecStart=-/bin/sh -c ") and closes.endswith('/run/bulkhead/debug/close --all"')
    assert reverts.endswith(" recover")


def test_it_goes_without_a_trace_and_says_whether_there_was_any(units: Path) -> None:
    os.utime(units, ns=(1_000, 1_000))
    guard_files.install()
    assert guard_files.uninstall() is True
    assert guard_files.uninstall() is False
    footprint.withdraw([])
    assert (list(units.iterdir()), units.stat().st_mtime_ns) == ([], 1_000)


def test_only_a_change_that_leads_on_installs_it(units: Path) -> None:
    forward.Forward(None, {}).install()
    assert guard_files.installed()
