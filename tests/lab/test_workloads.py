# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped policies on real hosts: each application does its work, without a sandbox and within its own.

One host of each suite, or those that BULKHEAD_LAB_HOSTS names. Each policy: workload unconfined, sandbox by the real
task, workload confined, restart and reload within it, sandbox removed, workload again.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from lab_host import LabHost, inventory
from workloads import remote

pytestmark = pytest.mark.lab


def chosen() -> list[str]:
    """BULKHEAD_LAB_HOSTS, else one QEMU host of each suite."""
    named = os.environ.get("BULKHEAD_LAB_HOSTS", "").split()
    first: dict[str, str] = {}
    for name, variables in inventory().items():
        if variables["bulkhead_lab_kind"] == "qemu":
            first.setdefault(variables["bulkhead_lab_suite"], name)
    return named or list(first.values()) or ["none"]


@dataclass
class Application:
    """One policy's application on one host, installed and running."""

    host: LabHost
    policy: str
    reports: dict[str, dict[str, Any]] = field(default_factory=dict)

    def act(self, action: str, confined: bool = False) -> dict[str, Any]:
        return remote.act(ssh(self.host), self.policy, action, confined=confined)

    def sandbox(self, state: str) -> dict[str, Any]:
        result, _text = self.host.run(policy=self.policy, policies_dirs=[], state=state, confirm_within=600)
        return result


def ssh(host: LabHost) -> list[str]:
    variables = host.variables
    return [
        "ssh", *shlex.split(variables["ansible_ssh_common_args"]), "-o", "BatchMode=yes",
        "-i", variables["ansible_ssh_private_key_file"], "-p", str(variables["ansible_port"]),
        f"{variables['ansible_user']}@{variables['ansible_host']}",
    ]  # fmt: skip


@pytest.fixture(
    scope="module", params=[(host, policy) for host in chosen() for policy in remote.NAMES], ids="-".join
)
def application(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Application]:
    name, policy = request.param
    if name == "none":
        pytest.skip("no lab is up (make lab-up)")
    host = LabHost(name, tmp_path_factory.mktemp(f"{name}-{policy}"))
    application = Application(host, policy)
    prepared = application.act("prepare")
    assert prepared["ok"], prepared["detail"]
    try:
        yield application
    finally:
        application.sandbox("absent")
        cleaned = application.act("cleanup")
        assert cleaned["ok"], cleaned["detail"]


def test_it_works_unconfined(application: Application) -> None:
    report = application.reports["unconfined"] = application.act("run")
    assert remote.failures(report) == []


def test_its_sandbox_is_applied_and_confirmed(application: Application) -> None:
    result = application.sandbox("present")
    assert result.get("state") == "confirmed", result.get("msg")
    assert {verdict["status"] for verdict in result["verdicts"].values()} <= {"enforced", "partial", "waived"}


def test_it_works_confined_and_is_refused_what_the_policy_denies(application: Application) -> None:
    report = application.reports["confined"] = application.act("run", confined=True)
    assert remote.failures(report) == []
    print({kind: found["figures"] for kind, found in application.reports.items()})


def test_a_second_time_changes_nothing(application: Application) -> None:
    result = application.sandbox("present")
    assert (result["state"], result["changed"], result["restarted"]) == ("unchanged", False, [])


def test_it_works_unconfined_again_once_the_sandbox_is_gone(application: Application) -> None:
    result = application.sandbox("absent")
    assert not result.get("failed"), result
    assert remote.failures(application.act("run")) == []
