# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from other_systems import content, manifest, run

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import win_job
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Features, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

WIN = m.OS.WINDOWS
CLAUSES = (
    m.MemoryLimit("memory.limit", bytes=2**20),
    m.CpuLimit("cpu.limit", percent=150),
    m.MaxProcesses("p", count=4),
)


def test_limits_are_written_down_and_refused():
    made = run("win_job", WIN, *CLAUSES)
    data = json.loads(content(made, "job.json"))
    assert {item["limit"]: item["value"] for item in data["limits"]} == {
        "JobMemoryLimit": 2**20,
        "ActiveProcessLimit": 4,
        "CpuRatePercentOfOneProcessor": 150,
    }
    assert data["applied_by"] is None
    for said in made.verdicts:
        assert said.status is Status.REFUSED
        assert "a wrapper service, which this version does not ship" in said.detail


def test_the_cpu_rate_is_a_share_of_the_whole_machine():
    made = win_job.compile(manifest(WIN, *CLAUSES), Features(WIN, "four processors", {"processors": 4}))
    limits = json.loads(content(made, "job.json"))["limits"]
    assert {"limit": "CpuRate", "value": 3750, "clause": "cpu.limit"} in limits


def test_without_limits_there_is_no_document():
    assert run("win_job", WIN, m.IoWeight("io.weight")).artifacts == ()
