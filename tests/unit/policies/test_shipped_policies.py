# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped policies as wholes: they load, get a word on every clause everywhere, and deny what they must."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS, Manifest
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve

TODAY = date(2026, 11, 24)
POLICIES = ("nginx", "postgresql", "redis", "bulletin")
LINUX = ("debian11", "debian12", "debian13", "ubuntu2404")
OTHERS = ("windows2022", "macos15")
FOLDER = Path(__file__).resolve().parents[3] / "policies"


def manifest(policy: str) -> Manifest:
    return load_and_resolve(policy, [], {}, TODAY)


def compiled(policy: str, system: str) -> Bundle:
    found = manifest(policy)
    workload = found.workload(OS.LINUX)
    assert workload
    return compile_bundle(found, features.reference(system, workload.name), TODAY)


def test_these_are_all_shipped_policies() -> None:
    assert {path.stem for path in FOLDER.glob("*.yml")} == set(POLICIES)


@pytest.mark.parametrize("policy", POLICIES)
def test_it_has_an_owner_a_version_and_a_workload_on_three_systems(policy: str) -> None:
    found = manifest(policy)
    assert (found.policy, found.version) == (policy, "1.0.0")
    assert found.owner and found.summary
    assert [workload.os for workload in found.workloads] == [OS.LINUX, OS.MACOS, OS.WINDOWS]
    assert found.health, "a rollout needs to see that the application works"


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("system", LINUX + OTHERS)
def test_every_clause_and_override_gets_one_verdict(policy: str, system: str) -> None:
    bundle = compiled(policy, system)
    found = manifest(policy)
    wanted = [clause.id for clause in found.clauses]
    wanted += [override.id for override in found.overrides if override.os is bundle.os]
    assert [verdict.clause for verdict in bundle.verdicts] == wanted
    for verdict in bundle.verdicts:
        assert verdict.mechanisms or verdict.status is Status.REFUSED, verdict
        assert verdict.detail or verdict.status is Status.ENFORCED, verdict


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("system", ["debian12", "debian13", "ubuntu2404"])
def test_current_linux_hosts_refuse_no_clause(policy: str, system: str) -> None:
    assert [(verdict.clause, verdict.detail) for verdict in compiled(policy, system).of(Status.REFUSED)] == []


@pytest.mark.parametrize("policy", POLICIES)
def test_debian_11_refuses_the_network_and_what_its_systemd_does_not_know(policy: str) -> None:
    refused = {verdict.clause: verdict.detail for verdict in compiled(policy, "debian11").of(Status.REFUSED)}
    past = {clause: detail for clause, detail in refused.items() if not clause.startswith("network.")}
    assert all("socket cgroupv2" in detail for clause, detail in refused.items() if clause not in past)
    # Without a search path a program's bare name is found nowhere.
    said = {
        "overrides.linux.systemd.ExecSearchPath": "begins with systemd 250, this host has 247",
        "overrides.linux.systemd.ExecStart": "names no program by its full path",
        "filesystem.execute": "NoExecPaths= begins with systemd 248, this host has 247",
        "processes.spawn": "NoExecPaths= begins with systemd 248, this host has 247",
    }
    always = {"filesystem.execute", "processes.spawn"}
    assert set(past) == (set(said) if policy == "postgresql" else always)
    assert all(said[clause] in detail for clause, detail in past.items())


@pytest.mark.parametrize("policy", POLICIES)
def test_what_no_application_may_do_is_probed(policy: str) -> None:
    denied = {(p.action, p.target) for p in compiled(policy, "debian12").probes if p.expect == "deny"}
    assert {
        ("read", "/etc/shadow"),
        ("read", "/root/.ssh"),
        ("execute", "/bin/sh"),
        ("write", "/etc/passwd"),
        ("write", "/etc/cron.d/job"),
        ("connect", "tcp/169.254.169.254:80"),
    } <= denied
    foreign = {
        "nginx": "/var/lib/postgresql",
        "bulletin": "/var/www",
        "postgresql": "/var/www",
        "redis": "/var/www",
    }
    assert ("read", foreign[policy]) in denied


@pytest.mark.parametrize("policy", POLICIES)
def test_what_it_must_be_able_to_do_is_probed(policy: str) -> None:
    allowed = {p.action for p in compiled(policy, "debian12").probes if p.expect == "allow"}
    assert {"read", "write", "listen"} <= allowed


@pytest.mark.parametrize("policy", POLICIES)
def test_no_first_process_is_root(policy: str) -> None:
    dropin = next(a for a in compiled(policy, "debian12").artifacts if a.kind == "systemd_dropin")
    account = next(line for line in dropin.content.decode().splitlines() if line.startswith("User="))
    assert account != "User=root"


@pytest.mark.parametrize(("system", "unit"), [("debian12", "15-main"), ("debian13", "17-main")])
def test_postgresql_is_confined_in_the_instance_that_the_host_has(system: str, unit: str) -> None:
    bundle = compiled("postgresql", system)
    assert bundle.workload.name == f"postgresql@{unit}.service"
    dropin = f"/etc/systemd/system/postgresql@{unit}.service.d/zz-bulkhead.conf"
    assert dropin in [artifact.path for artifact in bundle.artifacts]


def test_nginx_gets_its_pid_file_before_each_start_and_loses_none_at_a_stop() -> None:
    text = next(
        a for a in compiled("nginx", "debian12").artifacts if a.kind == "systemd_dropin"
    ).content.decode()
    assert (
        "ExecCondition=\n"
        "ExecCondition=+/usr/bin/touch -- /run/nginx.pid\n"
        "ExecCondition=+/usr/bin/chown www-data -- /run/nginx.pid\n"
    ) in text
    assert "\nPIDFile=\n" in text
    assert "\nReadWritePaths=-/run/nginx.pid\n" in text
