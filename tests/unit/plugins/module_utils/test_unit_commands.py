# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exec lines as systemd reads them; what is expected was read off ``systemd-analyze verify`` of systemd 252."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import unit_commands
from ansible_collections.bulkhead.fleet.plugins.module_utils.unit_commands import Command


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("/bin/a -x", [Command("", "/bin/a")]),
        ("-+mkdir -p /run/x", [Command("-+", "mkdir")]),
        ("\\x2b/bin/a", [Command("+", "/bin/a")]),
        ("\\053/bin/a", [Command("+", "/bin/a")]),
        ("'+/opt/my app/a' x", [Command("+", "/opt/my app/a")]),
        ('/opt/"my app"/a', [Command("", "/opt/my app/a")]),
        ("/opt/my\\x20app/a", [Command("", "/opt/my app/a")]),
        ("/bin/a ; +/bin/b", [Command("", "/bin/a"), Command("+", "/bin/b")]),
        ("/bin/a ';' +/bin/b", [Command("", "/bin/a")]),
        ("/bin/a \\; +/bin/b", [Command("", "/bin/a")]),
        ("/bin/a 'x ; +/bin/b'", [Command("", "/bin/a")]),
        ("/bin/a;+/bin/b", [Command("", "/bin/a;+/bin/b")]),
        ("@/bin/a a", [Command("@", "/bin/a")]),
        ("+${HELPER} x", [Command("+", "${HELPER}")]),
        ("/bin/\\xc3\\xa9", [Command("", "/bin/\u00e9")]),
        ("", []),
    ],
)
def test_commands(line: str, expected: list[Command]) -> None:
    assert unit_commands.commands(line) == expected


def test_a_program_without_a_path_is_searched() -> None:
    assert unit_commands.places("/bin/a") == ["/bin/a"]
    assert unit_commands.places("a", ["/opt/bin/", "no"]) == ["/opt/bin/a"]
    assert unit_commands.places("a") == [f"{folder}/a" for folder in unit_commands.FOLDERS]
    assert unit_commands.places("b/a") == unit_commands.places("") == []


def test_the_host_says_where_it_found_it(tmp_path: Path) -> None:
    (tmp_path / "web").write_text("#!/bin/sh\n")
    (tmp_path / "web").chmod(0o755)
    service = {"ExecStart": ["+web -x", "nowhere"], "ExecSearchPath": [f"/gone:{tmp_path}"]}
    assert unit_commands.programs(service) == {"web": f"{tmp_path}/web"}
    assert list(unit_commands.programs({"ExecStart": ["sh"]})) == ["sh"]


def test_programs_without_prefixes() -> None:
    service = {
        "ExecStart": ["-/usr/sbin/web -f", "+!/usr/bin/helper"],
        "ExecReload": ['"/bin/kill" -HUP'],
        "ExecPaths": ["/opt"],
        "User": ["/x"],
    }
    written = ["/bin/kill", "/usr/bin/helper", "/usr/sbin/web"]
    assert unit_commands.programs(service) == {path: path for path in written}


def test_interpreters(tmp_path: Path) -> None:
    for name, first in (("plain", "#!/bin/sh -e"), ("env", "#!/usr/bin/env -S sh"), ("binary", "\x7fELF")):
        (tmp_path / name).write_text(first + "\nexit\n")
    assert unit_commands.interpreter(str(tmp_path / "plain")) == "/bin/sh"
    assert unit_commands.interpreter(str(tmp_path / "env")) in ("/usr/bin/sh", "/bin/sh")
    assert unit_commands.interpreter(str(tmp_path / "binary")) == ""
    assert unit_commands.interpreter(str(tmp_path / "gone")) == ""
