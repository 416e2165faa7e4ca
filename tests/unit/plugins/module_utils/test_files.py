# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import files
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError


def test_write_sets_the_mode_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        files.write(str(tmp_path / "a"), b"x", 0o644, os.getuid(), os.getgid())
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_write_replaces_a_link_and_leaves_what_it_led_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "a").symlink_to(tmp_path / "precious")
    files.write(str(tmp_path / "a"), b"x", 0o600, os.getuid(), os.getgid())
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "precious").read_text() == "keep"


def test_a_link_planted_as_temporary_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    Path(files.temporary_name(str(tmp_path / "a"))).symlink_to(tmp_path / "precious")
    files.write(str(tmp_path / "a"), b"x", 0o600, os.getuid(), os.getgid())
    assert (tmp_path / "precious").read_text() == "keep"
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_failed_write_names_the_file_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot write .*/gone/a: No such file or directory\."):
        files.write(str(tmp_path / "gone" / "a"), b"x")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def full(_descriptor: int, _content: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(HostError, match="No space left on device"):
        files.write(str(tmp_path / "a"), b"new", 0o600, os.getuid(), os.getgid())
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_remove_says_whether_there_was_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    assert files.remove(str(tmp_path / "a")) is True
    assert files.remove(str(tmp_path / "a")) is False


@pytest.mark.parametrize(
    ("content", "mode", "shift", "why"),
    [(b"x", 0o644, 0, ""), (b"y", 0o644, 0, "content"), (b"x", 0o600, 0, "mode"), (b"x", 0o644, 1, "owner")],
)
def test_difference(tmp_path: Path, content: bytes, mode: int, shift: int, why: str) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"x")
    path.chmod(0o644)
    assert files.difference(str(path), content, mode, os.getuid() + shift, os.getgid()) == why
    assert files.difference(str(tmp_path / "b"), content, mode, os.getuid(), os.getgid()) == "missing"


def test_a_link_to_the_right_content_is_a_difference(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"x")
    (tmp_path / "a").symlink_to("there")
    assert files.difference(str(tmp_path / "a"), b"x", 0o644, os.getuid(), os.getgid()) == "content"


def test_an_unknown_owner_is_told() -> None:
    with pytest.raises(HostError, match="user 'nobody-of-that-name' does not exist on this host."):
        files.user_id("nobody-of-that-name")


def test_a_read_only_file_system_is_told_by_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "etc").mkdir()
    wanted = [str(tmp_path / "var/lib/a"), str(tmp_path / "etc/new/folder/b")]
    files.check_writable(wanted)
    # access(2) of root: the one thing that it cannot write to is a read-only file system.
    monkeypatch.setattr(files.os, "access", lambda folder, _mode: not folder.endswith("/etc"))
    with pytest.raises(HostError, match=r"/etc/new/folder/b cannot be written .*/etc is read-only") as told:
        files.check_writable(wanted)
    assert told.value.state == "refused"


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert files.read(str(tmp_path)) is None and files.read_text(str(tmp_path)) == ""
