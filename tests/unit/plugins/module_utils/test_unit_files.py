# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

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


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff[Service]\nExecStart=/bin/a\nUser=web\n",  # a byte-order mark is no letter
        "[Service]\r\nExecStart=/bin/a\r\nUser=web\r\n",
        "[Service]\nExecStart=/bin/a\n# a \f comment \u2028 ends where its line does\nUser=web",
    ],
)
def test_lines_end_where_systemd_ends_them(text: str) -> None:
    assert unit_files.merge({}, text) == {"Service": {"ExecStart": ["/bin/a"], "User": ["web"]}}


def test_an_escaped_backslash_continues_no_line() -> None:
    text = "[Service]\nEnvironment=A=C:\\\\\nExecStartPre=+/bin/evil\nExecStart=/bin/a \\\\\\\n -x\n"
    found = unit_files.merge({}, text)["Service"]
    assert found["ExecStartPre"] == ["+/bin/evil"]
    assert found["ExecStart"] == ["/bin/a \\\\ -x"]
