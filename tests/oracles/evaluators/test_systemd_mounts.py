# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluator of drop-ins on drop-ins that were written by hand."""

from __future__ import annotations

import pytest
from systemd_mounts import Mounts, sockets, split

STRICT = """[Service]
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
NoExecPaths=/
NoExecPaths=-/var/lib/app
ReadWritePaths=-/var/lib/app
InaccessiblePaths=-/etc/ssl/private
InaccessiblePaths=-/var/lib/app/secret
BindReadOnlyPaths=-/usr/lib -/opt/app
TemporaryFileSystem=/opt:ro,noexec
TemporaryFileSystem=/srv:ro,noexec
BindPaths="-/srv/my data"
ReadOnlyPaths="-/srv/my data/static"
TemporaryFileSystem="/srv/my data/private:ro,noexec"
BindReadOnlyPaths="-/srv/my data/private/public"
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/etc/hosts", "r"),
        ("/usr/bin/sh", "r"),  # the root is not executable
        ("/usr/lib/libc.so", "rx"),  # a bind of its own is
        ("/var/lib/app/file", "rw"),
        ("/var/lib/app/secret", ""),
        ("/var/lib/app/secret/deep", ""),
        ("/var/lib/apple", "r"),
        ("/home/one/.ssh", ""),
        ("/root", ""),
        ("/opt/app/bin/app", "rx"),
        ("/opt/other", ""),  # an empty file system
        ("/srv/other/file", ""),
        ("/srv/my data/file", "rwx"),  # bound, and nothing said of running
        ("/srv/my data/static/x", "rx"),
        ("/srv/my data/private/x", ""),
        ("/srv/my data/private/public/x", "rx"),
        ("/tmp/x", "rwx"),
    ],
)
def test_paths(path: str, allowed: str) -> None:
    mounts = Mounts(STRICT)
    found = "".join(
        letter
        for letter, action in (("r", "read"), ("w", "write"), ("x", "execute"))
        if mounts.allows(action, path)
    )
    assert found == allowed


def test_an_inherited_list_counts_until_it_is_cleared() -> None:
    opened = "ProtectSystem=strict\nReadWritePaths=/\n"
    assert Mounts("ProtectSystem=strict\n").allows("write", "/etc/x") is False
    assert Mounts(opened + "ReadWritePaths=/srv\n").allows("write", "/srv/x") is True
    assert Mounts(opened + "ReadWritePaths=\n").allows("write", "/srv/x") is False


def test_a_mount_that_only_keeps_programs_from_running_is_writable() -> None:
    """Seen on systemd 252: what strict protection made read-only is writable again in a mount below it."""
    assert Mounts("ProtectSystem=strict\nNoExecPaths=/srv\n").allows("write", "/srv/x") is True


def test_a_writable_path_in_an_empty_file_system_is_not_there() -> None:
    mounts = Mounts("TemporaryFileSystem=/srv:ro\nReadWritePaths=-/srv/app\n")
    assert not mounts.allows("read", "/srv/app/x") and not mounts.allows("write", "/srv/app/x")


def test_what_the_two_kinds_of_bind_share() -> None:
    assert not Mounts("TemporaryFileSystem=/srv:ro\nBindPaths=/srv/a\nBindReadOnlyPaths=\n").allows(
        "read", "/srv/a"
    )


@pytest.mark.parametrize(
    "line",
    ["no assignment", "BindPaths=relative", "BindPaths=/a:/b", "ReadOnlyPaths=/%h", 'ReadOnlyPaths="/a'],
)
def test_what_cannot_be_read(line: str) -> None:
    with pytest.raises(ValueError):
        Mounts(f"[Service]\n{line}\n")


def test_words() -> None:
    assert split(r'/a "/b c" /d\ e "100%%" "\"q\""') == ["/a", "/b c", "/d e", "100%", '"q"']


@pytest.mark.parametrize(
    ("text", "families"),
    [
        ("", {"AF_INET", "AF_INET6"}),
        ("RestrictAddressFamilies=\nRestrictAddressFamilies=AF_INET AF_UNIX\n", {"AF_INET"}),
        (
            "RestrictAddressFamilies=AF_INET\nRestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX\n",
            set(),
        ),
        ("PrivateNetwork=yes\nRestrictAddressFamilies=AF_INET\n", set()),
    ],
)
def test_families(text: str, families: set[str]) -> None:
    assert sockets(Mounts(text), text) == families
