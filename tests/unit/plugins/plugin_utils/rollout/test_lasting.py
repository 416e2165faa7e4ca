# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import lasting
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError


def test_what_is_replaced_is_whole_and_its_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "nginx.epoch"
    for content in ('{"epoch": 10}', "{}"):
        lasting.replace(path, content)
        assert (path.read_text(), path.stat().st_mode & 0o777) == (content, 0o600)
    assert list(tmp_path.iterdir()) == [path]
    assert lasting.read(path) == {}


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_what_is_damaged_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "nginx.lock"
    path.write_text(content)
    with (
        pytest.raises(RolloutError, match=r"nginx\.lock' cannot be read: it is damaged\."),
        lasting.faults(path),
    ):
        lasting.read(path)


def test_what_the_file_system_refuses_is_named(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    lasting.write(path, "first", os.O_EXCL)
    with (
        pytest.raises(RolloutError, match=r"plan\.json' cannot be used: File exists\.") as told,
        lasting.faults(tmp_path),
    ):
        lasting.write(path, "second", os.O_EXCL)
    assert (told.value.help_text, path.read_text()) == ("Set rollout_dir.", "first")
