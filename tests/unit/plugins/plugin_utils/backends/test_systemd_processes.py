# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits whose verdicts depend on the host, each as seen on a host by the exam of verdicts."""

from __future__ import annotations

import pytest
from linux_support import by_systemd, host, values, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

ONLINE = (m.ConnectClosure("network.connect"), m.ListenClosure("network.listen"))


@pytest.mark.parametrize(
    ("granted", "facts", "status", "said"),
    [
        ((), {}, Status.ENFORCED, ""),
        (
            (m.Privilege("p", name="lock_memory"),),
            {},
            Status.PARTIAL,
            "huge pages that the host has reserved",
        ),
        ((), {"lsm": []}, Status.ENFORCED, "huge pages that the host has reserved"),
    ],
)
def test_huge_pages_are_not_counted_where_they_can_be_had(granted, facts, status, said):
    found = verdict(
        by_systemd(*granted, m.MemoryLimit("memory.limit", bytes=1 << 20), on=host(**facts)), "memory.limit"
    )
    assert found.status is status and found.detail.startswith(said) and bool(found.detail) is bool(said)


@pytest.mark.parametrize("network", [True, False])
def test_a_weight_in_a_slice_of_its_own_has_no_rival(network: bool) -> None:
    made = by_systemd(m.CpuWeight("cpu.weight", weight=10), *(ONLINE if network else ()))
    assert values(made, "CPUWeight") == ["10"]
    found = verdict(made, "cpu.weight")
    assert found.status is (Status.PARTIAL if network else Status.ENFORCED)
    assert ("the unit is alone in the slice" in found.detail) is network


def test_the_weight_of_the_disk_names_both_reasons() -> None:
    found = verdict(by_systemd(m.IoWeight("io.weight", weight=10), *ONLINE), "io.weight")
    assert "bfq or io.cost" in found.detail and "alone in the slice" in found.detail


@pytest.mark.parametrize(
    ("piped", "allow", "limit", "status"),
    [
        (False, False, "0", Status.ENFORCED),
        (True, False, "1", Status.PARTIAL),
        (True, True, "infinity", Status.ENFORCED),
    ],
)
def test_a_limit_of_0_does_not_hold_cores_back_from_a_program(
    piped: bool, allow: bool, limit: str, status: Status
) -> None:
    made = by_systemd(m.CoreDumps("memory.core_dumps", allow=allow), on=host(cores_to_program=piped))
    assert values(made, "LimitCORE") == [limit]
    found = verdict(made, "memory.core_dumps")
    assert found.status is status
    assert ("hands cores to a program" in found.detail) is (status is Status.PARTIAL)


@pytest.mark.parametrize("allow", [False, True])
def test_memory_without_a_file_can_be_mapped_twice(allow: bool) -> None:
    made = by_systemd(m.WritableAndExecutable("memory.writable_and_executable", allow=allow))
    found = verdict(made, "memory.writable_and_executable")
    assert found.status is (Status.ENFORCED if allow else Status.PARTIAL)
    assert ("mapped twice" in found.detail) is not allow


V1 = {"mode": "hybrid", "controllers": [], "legacy": ["blkio", "cpu", "memory", "pids"]}
LIMITS = (
    m.MaxProcesses("processes.max", count=7),
    m.MemoryLimit("memory.limit", bytes=1 << 20),
    m.CpuLimit("cpu.limit", percent=150),
    m.CpuWeight("cpu.weight", weight=50),
    m.IoWeight("io.weight", weight=50),
)


def test_limits_hold_on_cgroup_v1_where_systemd_writes_them_there():
    made = by_systemd(*LIMITS, on=host(cgroup=V1))
    assert {key: values(made, key) for key in ("TasksMax", "MemoryMax", "MemorySwapMax", "CPUQuota")} == {
        "TasksMax": ["7"],
        "MemoryMax": ["1048576"],
        "MemorySwapMax": [],
        "CPUQuota": ["150%"],
    }
    files = [(item.key, item.value, item.relation) for item in made.readbacks if item.kind == "cgroup_file"]
    assert files == [
        ("legacy:pids/pids.max", "7", "at_most"),
        ("legacy:memory/memory.limit_in_bytes", "1048576", "at_most"),
        ("legacy:cpu/cpu.cfs_quota_us", "150000", "equals"),
    ]
    said = {item.clause: (item.status, item.detail) for item in made.verdicts}
    assert said["processes.max"] == said["cpu.limit"] == said["cpu.weight"] == (Status.ENFORCED, "")
    for clause, why in (("memory.limit", "no swap"), ("io.weight", "another")):
        assert said[clause][0] is Status.PARTIAL and why in said[clause][1]


@pytest.mark.parametrize(
    ("facts", "refused"),
    [
        ({"cgroup": {**V1, "legacy": ["memory"]}}, {"processes.max", "cpu.limit", "cpu.weight", "io.weight"}),
        ({"cgroup": V1, "container": True}, {clause.id for clause in LIMITS}),
        (
            {"cgroup": V1, "systemd": {"version": 258, "flags": {"SECCOMP": True}}},
            {clause.id for clause in LIMITS},
        ),
    ],
)
def test_limits_are_refused_where_nobody_sets_them(facts, refused):
    made = by_systemd(*LIMITS, on=host(**facts))
    assert {item.clause for item in made.verdicts if item.status is Status.REFUSED} == refused
    assert not any(item.clause in refused for item in made.readbacks)


def test_controllers_of_v2_come_first():
    both = {**V1, "controllers": ["cpu", "io", "memory", "pids"]}
    made = by_systemd(*LIMITS, on=host(cgroup=both))
    assert not any(item.key.startswith("legacy") for item in made.readbacks)
    assert values(made, "MemorySwapMax") == ["0"]
