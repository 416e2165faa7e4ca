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


@pytest.mark.parametrize(
    ("shown", "slice_name", "group"),
    [
        (
            "/bulkhead.slice/bulkhead-web.slice/web.service",
            "x.slice",
            "/bulkhead.slice/bulkhead-web.slice/web.service",
        ),
        ("", "system.slice", "/system.slice/web.service"),
        (None, None, "/system.slice/web.service"),
        ("", "bulkhead-web.slice", "/bulkhead.slice/bulkhead-web.slice/web.service"),
        ("", "-.slice", "/web.service"),
    ],
)
def test_a_units_group_is_systemds_word_or_its_slices(
    shown: str | None, slice_name: str | None, group: str
) -> None:
    assert denials_cgroup.group_of("web.service", shown, slice_name) == group


def killed(path: str, other: str = "/") -> str:
    return (
        f"oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={other},mems_allowed=0,oom_memcg={path},"
        f"task_memcg={path},task=x,pid=5,uid=0"
    )


OUTER = "/machine.slice/machine-c1.scope/payload/system.slice/web.service"


@pytest.mark.parametrize(
    ("path", "container", "how"),
    [
        ("/system.slice/web.service", False, "control_group"),
        ("/system.slice/web.service/worker", False, "control_group"),
        ("/system.slice/web.service-two", False, None),
        ("/system.slice/a-web.service", False, None),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", False, None),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/web.service", True, None),
        (OUTER, False, None),
        (OUTER, True, "group_name"),
        (OUTER + "/worker", True, "group_name"),
        (OUTER + "-two", True, None),
    ],
)
def test_a_line_is_the_units_by_its_whole_control_group(path: str, container: bool, how: str | None) -> None:
    for text in (killed(path), f"cgroup: fork rejected by pids controller in {path}"):
        facts = denials_cgroup.denial(text, "/system.slice/web.service", container)
        assert (facts and facts["attribution"]) == how


def test_a_group_that_is_named_like_a_field_is_nobodys() -> None:
    forged = killed("/user.slice/x", "/user.slice/a,task_memcg=/system.slice/web.service,task=")
    assert denials_cgroup.denial(forged, "/system.slice/web.service") is None
    quoted = f"usb 1-1: Product: {killed('/system.slice/web.service')}"
    assert denials_cgroup.denial(quoted, "/system.slice/web.service") is None
