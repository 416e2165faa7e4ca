# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

from ansible_collections.bulkhead.fleet.plugins.module_utils import unit_files


def test_continuations_are_joined_and_comments_dropped() -> None:
    text = "[Service]\nExecStart=/bin/a \\\n# not me\n  -x \\\n  -y\n; nor me\nUser=web\n"
    assert list(unit_files.logical_lines(text)) == ["[Service]", "ExecStart=/bin/a -x -y", "User=web"]


def test_an_empty_value_clears_and_the_key_stays() -> None:
    sections = unit_files.merge({}, "[Service]\nExecStart=/bin/a\nUser=web\n")
    unit_files.merge(sections, "[Service]\nExecStart=\nExecStart=/bin/b\nUser=\n")
    assert sections == {"Service": {"ExecStart": ["/bin/b"], "User": []}}


def test_our_own_dropin_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "web.service").write_text("[Service]\nNice=1\n")
    (tmp_path / "10-admin.conf").write_text("[Service]\nNice=2\n")
    (tmp_path / unit_files.OWN_DROPIN).write_text("[Service]\nNice=3\n")
    dropins = [str(tmp_path / name) for name in ("10-admin.conf", unit_files.OWN_DROPIN, "gone.conf")]
    assert unit_files.read(str(tmp_path / "web.service"), dropins) == {"Service": {"Nice": ["1", "2"]}}


def test_programs_without_prefixes() -> None:
    service = {
        "ExecStart": ["-/usr/sbin/web -f", "+!/usr/bin/helper"],
        "ExecReload": ['"/bin/kill" -HUP'],
        "ExecPaths": ["/opt"],
        "User": ["/x"],
    }
    assert unit_files.programs(service) == ["/bin/kill", "/usr/bin/helper", "/usr/sbin/web"]


def test_interpreters(tmp_path: Path) -> None:
    for name, first in (("plain", "#!/bin/sh -e"), ("env", "#!/usr/bin/env -S sh"), ("binary", "\x7fELF")):
        (tmp_path / name).write_text(first + "\nexit\n")
    assert unit_files.interpreter(str(tmp_path / "plain")) == "/bin/sh"
    assert unit_files.interpreter(str(tmp_path / "env")) in ("/usr/bin/sh", "/bin/sh")
    assert unit_files.interpreter(str(tmp_path / "binary")) == ""
    assert unit_files.interpreter(str(tmp_path / "gone")) == ""
