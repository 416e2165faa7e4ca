# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_cgroup

GROUP = "/bulkhead.slice/x.service"


@pytest.mark.parametrize(
    ("files", "counted"),
    [
        (
            {f"{GROUP}/memory.events": "low 0\nmax 3\noom_kill 1\n", f"{GROUP}/pids.events": "max 2\n"},
            {"memory.killed": 1, "memory.reached": 3, "tasks.refused": 2},
        ),
        (
            {
                f"/memory{GROUP}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
                f"/pids{GROUP}/pids.events": "max 5\n",
            },
            {"memory.killed": 4, "tasks.refused": 5},
        ),
        ({}, {}),
    ],
)
def test_counters_of_either_version(tmp_path: Path, files: dict[str, str], counted: dict[str, int]) -> None:
    for place, text in files.items():
        file = tmp_path / place.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert denials_cgroup.counters(GROUP, str(tmp_path)) == counted
    assert denials_cgroup.counters("", str(tmp_path)) == {}
