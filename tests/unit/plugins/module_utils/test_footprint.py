# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import files, footprint, store


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("lib", "etc"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, ns=(1_000, 1_000))
    monkeypatch.setattr(store, "BASE", str(tmp_path / "lib/bulkhead"))
    monkeypatch.setattr(footprint, "ASIDE", str(tmp_path / "aside"))
    footprint.note_base()
    return tmp_path


def put(path: Path) -> None:
    with footprint.touching([str(path)]):
        files.write(str(path), b"x", 0o644, os.getuid(), os.getgid())


def take(path: Path) -> None:
    with footprint.touching([], [str(path)]):
        files.remove(str(path))


def test_a_removal_leaves_neither_directory_nor_time(root: Path) -> None:
    put(root / "etc/bulkhead/nft/web.nft")
    put(root / "etc/web.conf")
    assert (root / "etc").stat().st_mtime_ns != 1_000
    take(root / "etc/bulkhead/nft/web.nft")
    take(root / "etc/web.conf")
    footprint.withdraw([])
    footprint.withdraw_base()
    assert list((root / "etc").iterdir()) == []
    assert list((root / "lib").iterdir()) == []
    assert [(root / name).stat().st_mtime_ns for name in ("etc", "lib")] == [1_000, 1_000]


def test_a_time_that_somebody_else_made_stays(root: Path) -> None:
    put(root / "etc/web.conf")
    (root / "etc/theirs").write_text("x")
    os.utime(root / "etc", ns=(5_000, 5_000))
    take(root / "etc/web.conf")
    footprint.withdraw([])
    # Our own removal came after theirs: the time without us is theirs.
    assert (root / "etc").stat().st_mtime_ns == 5_000


def test_a_directory_with_a_file_of_others_stays(root: Path) -> None:
    put(root / "etc/web.service.d/zz-bulkhead.conf")
    (root / "etc/web.service.d/theirs.conf").write_text("x")
    take(root / "etc/web.service.d/zz-bulkhead.conf")
    footprint.withdraw([])
    assert [path.name for path in (root / "etc/web.service.d").iterdir()] == ["theirs.conf"]


def test_what_another_policy_uses_stays_on_record(root: Path) -> None:
    put(root / "etc/bulkhead/a.nft")
    put(root / "etc/bulkhead/b.nft")
    take(root / "etc/bulkhead/a.nft")
    footprint.withdraw([str(root / "etc/bulkhead/b.nft")])
    assert footprint.load()[str(root / "etc/bulkhead")] == {"created": True}
    take(root / "etc/bulkhead/b.nft")
    footprint.withdraw([])
    assert not (root / "etc/bulkhead").exists()


def test_a_time_waits_for_the_last_directory_that_we_made_there(root: Path) -> None:
    put(root / "etc/bulkhead/nft/b.nft")
    put(root / "etc/a.conf")
    take(root / "etc/a.conf")
    footprint.withdraw([str(root / "etc/bulkhead/nft/b.nft")])
    take(root / "etc/bulkhead/nft/b.nft")
    footprint.withdraw([])
    assert list((root / "etc").iterdir()) == []
    assert (root / "etc").stat().st_mtime_ns == 1_000


def test_the_guard_may_know_which_directories_are_ours(root: Path) -> None:
    put(root / "etc/bulkhead/nft/web.nft")
    assert Path(store.BASE, "made").read_text() == f"{root}/etc/bulkhead/nft\n{root}/etc/bulkhead\n"


def test_directories_are_readable_whatever_the_umask(root: Path) -> None:
    old = os.umask(0o077)
    try:
        put(root / "etc/bulkhead/nft/web.nft")
    finally:
        os.umask(old)
    assert (root / "etc/bulkhead/nft").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '"x"',
        "\0",
        '{"/etc": 1}',
        '{"/etc": {}}',
        '{"/etc": {"before": "x", "after": 1}}',
        '{"etc": {"created": true}}',
    ],
)
def test_a_record_of_odd_content_says_nothing(root: Path, text: str) -> None:
    Path(store.BASE, "directories.json").write_text(text)
    assert footprint.load() == {}
    put(root / "etc/web.conf")
    take(root / "etc/web.conf")
    footprint.withdraw([])


def test_what_others_keep_in_the_base_stays(root: Path) -> None:
    put(root / "etc/web.conf")
    for name in ("lost+found/1", "web.bak/generations"):
        (root / "lib/bulkhead" / name).mkdir(parents=True)
    for name in (".web.gone", "empty"):
        (root / "lib/bulkhead" / name).mkdir()
    footprint.withdraw_base()
    assert sorted(path.name for path in (root / "lib/bulkhead").iterdir()) == ["lost+found", "web.bak"]
    assert not (root / "aside").exists()


def test_where_the_base_is_there_nothing_is_noted(root: Path) -> None:
    before = [path.stat().st_mtime_ns for path in (root, root / "lib")]
    footprint.note_base()
    assert [path.stat().st_mtime_ns for path in (root, root / "lib")] == before


def test_what_a_kill_cut_off_counts_as_ours(root: Path) -> None:
    etc = root / "etc"
    child = os.fork()
    if child == 0:
        with footprint.touching([str(etc / "web.conf")]):
            files.write(str(etc / "web.conf"), b"x", 0o644, os.getuid(), os.getgid())
            os._exit(0)  # no record of what the directory's time is now
    os.waitpid(child, 0)
    assert etc.stat().st_mtime_ns != 1_000
    take(etc / "web.conf")
    footprint.withdraw([])
    assert etc.stat().st_mtime_ns == 1_000


class Killed(BaseException):
    pass


@contextmanager
def killed(step: int) -> Iterator[None]:
    """From the ``step``-th call that changes the disk on, none is carried out: the process is dead."""
    real = {
        name: getattr(os, name)
        for name in ("mkdir", "rmdir", "unlink", "rename", "replace", "utime", "fsync")
    }
    left = step

    def dying(name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real[name](*given, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in real:
            patch.setattr(os, name, dying(name))
        with suppress(Killed):
            yield


def whole_life() -> None:
    footprint.note_base()
    with footprint.alone():
        footprint.withdraw([])
        footprint.withdraw_base()


def test_the_parent_has_its_time_again_wherever_a_run_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lib = tmp_path / "lib"
    lib.mkdir()
    monkeypatch.setattr(store, "BASE", str(lib / "bulkhead"))
    monkeypatch.setattr(footprint, "ASIDE", str(tmp_path / "aside"))
    for step in count():
        os.utime(lib, ns=(1_000, 1_000))
        finished = False
        with killed(step):
            whole_life()
            finished = True
        monkeypatch.setattr(footprint, "_held", [])
        if (lib / "bulkhead").is_dir():  # what the next removal does
            with footprint.alone():
                footprint.withdraw([])
                footprint.withdraw_base()
        else:
            footprint.settle()
        assert (lib.stat().st_mtime_ns, list(tmp_path.iterdir())) == (1_000, [lib]), f"killed at step {step}"
        if finished:
            break
    assert step > 15


def test_a_directory_has_its_time_again_wherever_a_change_in_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc = tmp_path / "etc"
    etc.mkdir()
    monkeypatch.setattr(store, "BASE", str(tmp_path / "bulkhead"))
    for step in count():
        os.utime(etc, ns=(1_000, 1_000))
        Path(store.BASE).mkdir()
        finished = False
        with killed(step):
            put(etc / "bulkhead/nft/web.nft")
            take(etc / "bulkhead/nft/web.nft")
            with footprint.alone():
                footprint.withdraw([])
            finished = True
        monkeypatch.setattr(footprint, "_held", [])
        if (etc / "bulkhead").is_dir():
            take(etc / "bulkhead/nft/web.nft")
        with footprint.alone():
            footprint.withdraw([])
        assert (etc.stat().st_mtime_ns, list(etc.iterdir())) == (1_000, []), f"killed at step {step}"
        shutil.rmtree(store.BASE)
        if finished:
            break
    assert step > 25


def test_what_somebody_else_did_meanwhile_stands(root: Path) -> None:
    with killed(3):
        footprint.withdraw_base()
    later = 10**18 * 4
    os.utime(root / "lib", ns=(later, later))
    footprint.settle()
    assert (root / "lib").stat().st_mtime_ns == later


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json", '{"before": 1}'])
def test_a_note_that_says_nothing_is_cleared_away(root: Path, text: str) -> None:
    (root / "aside").write_text(text)
    footprint.withdraw_base()
    assert not (root / "aside").exists()
    assert (root / "lib").stat().st_mtime_ns == 1_000


def empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def test_what_others_keep_is_no_remains_of_ours(root: Path) -> None:
    base = Path(store.BASE)
    empty(base)
    assert footprint.remains()  # an empty folder is ours: a removal was killed right before its end
    (base / "lost+found").mkdir()
    assert not footprint.remains()
    for name in ("guard", "_sources", ".guard.bulkhead"):
        (base / name).touch()
        assert footprint.remains(), name
        (base / name).unlink()


def test_a_file_system_of_its_own_is_no_remains_of_ours(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert footprint.remains()
    empty(Path(store.BASE))
    monkeypatch.setattr("os.path.ismount", lambda path: path == store.BASE)
    assert not footprint.remains()
