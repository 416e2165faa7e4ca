# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials import follow

ROW = {
    "clause": "filesystem.read",
    "act": "read /srv/x",
    "mechanism": "apparmor",
    "enforced": True,
    "count": 3,
    "first": "a",
    "last": "b",
    "fingerprint": "f",
    "proposal": {"yaml": "filesystem: {read: [/srv/x]}"},
    "facts": {},
}


def test_events_and_who_was_silent() -> None:
    answers = {
        "web2": {"failed": True, "msg": "policy nginx is\nnot applied."},
        "web1": {"denials": [ROW]},
        "web3": {},
    }
    found, silent = follow.events("nginx", answers)
    assert found == [
        {
            "policy": "nginx",
            "host": "web1",
            **{key: value for key, value in ROW.items() if key not in ("proposal", "facts")},
            "change": "filesystem: {read: [/srv/x]}",
        }
    ]
    assert silent == {"web2": "policy nginx is not applied.", "web3": "it was not asked"}


def test_a_host_that_gave_no_answer_keeps_its_cursor(tmp_path: Path) -> None:
    follow.remember(tmp_path / "nginx", {"web1": {"cursor": "c1"}, "a/b": {"cursor": "c2"}})
    follow.remember(tmp_path / "nginx", {"web1": {"failed": True}})
    assert {path.name: path.read_text() for path in (tmp_path / "nginx").iterdir()} == {
        "web1.cursor": "c1",
        "a_b.cursor": "c2",
    }
