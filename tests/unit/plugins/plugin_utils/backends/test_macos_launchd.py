# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import plistlib
import re

import pytest
from hypothesis import given
from other_systems import hostile_text, leaves, run, sample, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Grade, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.macos_launchd_table import SUPPORT
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

MAC = m.OS.MACOS
WRAPPED = [
    "/usr/bin/sandbox-exec",
    "-f",
    "/Library/Application Support/Bulkhead/demo.sb",
    "/opt/demo/bin/demo",
]
# Keys of launchd.plist(5) that are used here, and the types that launchd takes for them.
KEYS = {
    "Label": str,
    "ProgramArguments": list,
    "RunAtLoad": bool,
    "UserName": str,
    "EnvironmentVariables": dict,
    "SoftResourceLimits": dict,
    "HardResourceLimits": dict,
    "KeepAlive": (bool, dict),
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "Nice": int,
    "LowPriorityIO": bool,
}


def job(*clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE, **workload: str) -> dict:
    (artifact,) = run("macos_launchd", MAC, *clauses, mode=mode, **workload).artifacts
    assert artifact.path == "/Library/LaunchDaemons/bulkhead.demo.plist"
    return plistlib.loads(artifact.content)


def said(clause: m.Clause, mode: m.Mode = m.Mode.ENFORCE, **workload: str):
    return verdict(run("macos_launchd", MAC, clause, mode=mode, **workload), clause.id)


def test_the_program_runs_in_its_sandbox_under_its_own_account():
    made = job()
    assert made["ProgramArguments"] == WRAPPED
    assert made["UserName"] == "_demo"
    assert made["Label"] == "bulkhead.demo"


def test_a_closed_environment_is_cleared_by_env():
    value = m.EnvironmentSet("e", name="LANG", value="C")
    assert job(value)["EnvironmentVariables"] == {"LANG": "C"}
    closed = job(value, m.EnvironmentClosure("environment.allow"))
    assert closed["ProgramArguments"] == ["/usr/bin/env", "-i", "LANG=C", *WRAPPED]
    assert "EnvironmentVariables" not in closed
    assert said(m.EnvironmentClosure("c")).status is Status.ENFORCED
    assert said(m.EnvironmentClosure("c", names=("TZ",))).status is Status.PARTIAL


@pytest.mark.parametrize("kind", leaves())
def test_only_keys_and_types_that_launchd_knows(kind):
    for key, value in job(sample(kind, MAC)).items():
        assert isinstance(value, KEYS[key])


def test_limits_are_hard_and_soft():
    made = job(m.MaxOpenFiles("f", count=64), m.MaxFileSize("s", bytes=2**30), m.CoreDumps("c"))
    assert (
        made["HardResourceLimits"]
        == made["SoftResourceLimits"]
        == {"NumberOfFiles": 64, "FileSize": 2**30, "Core": 0}
    )


@pytest.mark.parametrize(
    ("clause", "key", "value"),
    [
        (m.Restart("c", when="never"), "KeepAlive", False),
        (m.Restart("c", when="always"), "KeepAlive", True),
        (m.Restart("c", when="on_failure"), "KeepAlive", {"SuccessfulExit": False}),
        (m.RestartLimit("c", count=5, seconds=600), "ThrottleInterval", 120),
        (m.StopTimeout("c", seconds=20), "ExitTimeOut", 20),
        (m.StopTimeout("c", seconds=0), "ExitTimeOut", 1),
        (m.CpuWeight("c", weight=50), "Nice", 10),
        (m.CpuWeight("c", weight=10000), "Nice", -20),
        (m.IoWeight("c", weight=10), "LowPriorityIO", True),
    ],
)
def test_keys(clause, key, value):
    assert job(clause)[key] == value


@pytest.mark.parametrize(
    ("clause", "workload", "status", "detail"),
    [
        (m.User("c", name="_demo"), {}, Status.ENFORCED, "runs as _demo"),
        (
            m.User("c", name="x"),
            {},
            Status.ENFORCED,
            "runs as _demo, which workload.macos.user names in place of 'x'",
        ),
        (
            m.User("c", name="x"),
            {"user": ""},
            Status.PARTIAL,
            "runs as x, or not at all where there is no such account",
        ),
        (
            m.PrivilegeClosure("c"),
            {"user": "root"},
            Status.REFUSED,
            "A daemon of root has every privilege (c)",
        ),
        (m.PrivilegeClosure("c"), {}, Status.PARTIAL, "what its groups may do is not taken away"),
        (m.Privilege("c", name="set_clock"), {}, Status.REFUSED, "no single privilege 'set_clock' (c)"),
        (m.Privilege("c", name="bind_low_port"), {}, Status.PARTIAL, "not seen on a real host"),
        (m.MaxProcesses("c", count=4), {"user": "nobody"}, Status.REFUSED, "'nobody' is shared"),
        (m.MaxProcesses("c", count=4), {}, Status.PARTIAL, "it sets kern.maxproc for the system"),
        (m.MaxOpenFiles("c", count=4), {}, Status.PARTIAL, "it sets kern.maxfiles for the system"),
        (m.IoWeight("c", weight=200), {}, Status.REFUSED, "not raise it (c)"),
        (m.MemoryLimit("c", bytes=1), {}, Status.REFUSED, "ResidentSetSize limits address space"),
        (m.CpuLimit("c", percent=1), {}, Status.REFUSED, "not the share of it"),
        (
            m.EnvironmentSet("c", name="A=B", value=""),
            {},
            Status.REFUSED,
            "'A=B' is no name of a variable (c)",
        ),
    ],
)
def test_verdicts(clause, workload, status, detail):
    found = said(clause, **workload)
    assert (found.status, detail in found.detail) == (status, True), found


@pytest.mark.parametrize("kind", [kind for kind in SUPPORT if SUPPORT[kind].grade is Grade.NEVER])
def test_what_launchd_never_carries_is_refused_with_the_reason(kind):
    assert said(sample(kind, MAC)).detail == SUPPORT[kind].missing


def test_audit_limits_nothing():
    clauses = [
        m.User("u", name="x"),
        m.MaxOpenFiles("f", count=1),
        m.EnvironmentClosure("e"),
        m.PrivilegeClosure("p"),
    ]
    made = run("macos_launchd", MAC, *clauses, mode=m.Mode.AUDIT)
    assert plistlib.loads(made.artifacts[0].content) == {
        "Label": "bulkhead.demo",
        "RunAtLoad": True,
        "ProgramArguments": WRAPPED,
    }
    assert all(found.detail.startswith("audit mode leaves it out") for found in made.verdicts)


def test_an_account_that_no_system_has_is_refused():
    with pytest.raises(
        BackendError, match=re.escape("'a b' cannot name a macOS account (workload.macos.user)")
    ):
        job(user="a b")


@given(hostile_text, hostile_text)
def test_no_value_adds_a_key_or_an_argument(name, value):
    clauses = (m.EnvironmentSet("c", name=name, value=value), m.EnvironmentClosure("environment.allow"))
    made = run("macos_launchd", MAC, *clauses)
    found = plistlib.loads(made.artifacts[0].content)
    assert found.keys() == job().keys()
    added = [] if verdict(made, "c").status is Status.REFUSED else [f"{name}={value}"]
    assert found["ProgramArguments"] == ["/usr/bin/env", "-i", *added, *WRAPPED]


@given(hostile_text)
def test_a_value_is_carried_as_it_is(value):
    made = run("macos_launchd", MAC, m.EnvironmentSet("c", name="GREETING", value=value))
    if verdict(made, "c").status is Status.ENFORCED:
        assert plistlib.loads(made.artifacts[0].content)["EnvironmentVariables"] == {"GREETING": value}
    else:
        assert repr(value) in verdict(made, "c").detail
