# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from policy_support import Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults


def test_workloads(make: Make) -> None:
    text = """workload:
  macos: {label: org.example.app, executable: /opt//app, user: _app}
  windows: {service: app, executable: 'c:/app/app.exe'}
  linux: {unit: app@1.service}
"""
    assert make(workload=text).workloads == (
        m.Workload(m.OS.LINUX, "app@1.service"),
        m.Workload(m.OS.MACOS, "org.example.app", "/opt/app", "_app"),
        m.Workload(m.OS.WINDOWS, "app", "C:\\app\\app.exe"),
    )


@pytest.mark.parametrize(
    "unit", ["app", "app.socket", "../app.service", "a b.service", "app.service; x", "-a.service"]
)
def test_units_that_are_none(make: Make, unit: str) -> None:
    with pytest.raises(PolicyFaults, match="write a service unit, such as nginx.service"):
        make(workload=f"workload: {{linux: {{unit: '{unit}'}}}}\n")


def test_a_faulty_executable_is_told_once(make: Make) -> None:
    with pytest.raises(PolicyFaults) as caught:
        make(
            "filesystem: {execute: [$program]}\n",
            workload="workload: {linux: {unit: app.service, executable: bin/app}}\n",
        )
    assert [fault.message for fault in caught.value.faults] == ["the path 'bin/app' is relative."]


def test_a_faulty_name_is_told_once(make: Make) -> None:
    with pytest.raises(PolicyFaults) as caught:
        make("paths: {config: /etc/app}\nfilesystem: {read: [$config]}\n")
    assert [fault.place for fault in caught.value.faults] == ["paths.config"]
