# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A component on real hosts with AppArmor: a helper program that its service starts can do less than the service, and
never more. Patterns of paths beside it: what matches is granted, what does not is not.

The helper is cat, so that it can be sent to any file; what it says comes back through the service.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lab_host import LabHost, chosen

pytestmark = pytest.mark.lab
UNIT, FOLDER, PROFILE = "aaparts.service", "/srv/aaparts", "bulkhead.aaparts"
POLICIES = {
    "aaparts": f"""
schema: 1
policy: aaparts
version: 1.0.0
owner: tests
summary: Starts a helper.
mode: enforce
workload: {{linux: {{unit: {UNIT}}}}}
identity: {{privileges: []}}
filesystem:
  read: [{FOLDER}/run.py, {FOLDER}/public, {FOLDER}/private, {{glob: "{FOLDER}/logs/*.txt"}}]
  write: [{FOLDER}/data]
  execute: [{FOLDER}/bin/helper]
components: [{{name: helper, policy: helper}}]
resilience: {{start_timeout: 3min}}
""",
    "helper": f"""
schema: 1
policy: helper
version: 1.0.0
owner: tests
summary: Shows a file.
workload: {{linux: {{unit: helper.service, executable: {FOLDER}/bin/helper}}}}
filesystem:
  read: [{FOLDER}/public, {FOLDER}/elsewhere]
  execute: [$program]
""",
}
SERVICE = f"""
import errno, os, subprocess, time
def read(path):
    return open(path).read()
def helper(path):
    done = subprocess.run(["{FOLDER}/bin/helper", path], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else done.stderr.rpartition(": ")[2]
ACTS = {{"read": read, "helper": helper}}
while True:
    try:
        name, path = open("{FOLDER}/data/ask").read().split()
        try:
            answer = ACTS[name](path)
        except OSError as error:
            answer = os.strerror(error.errno)
        with open("{FOLDER}/data/new", "w") as out:
            out.write(answer)
        os.unlink("{FOLDER}/data/ask")
        os.rename("{FOLDER}/data/new", "{FOLDER}/data/answer")
    except FileNotFoundError:
        time.sleep(0.2)
"""
SET_UP = f"""
cd / && mkdir -p {FOLDER}/bin {FOLDER}/data {FOLDER}/public {FOLDER}/private {FOLDER}/elsewhere {FOLDER}/logs
cp /usr/bin/cat {FOLDER}/bin/helper
for one in public/file private/file elsewhere/file logs/a.txt logs/a.key; do echo "$one" >{FOLDER}/$one; done
cat >{FOLDER}/run.py <<'END'
{SERVICE}
END
cat >/etc/systemd/system/{UNIT} <<'END'
[Service]
Type=exec
ExecStart=/usr/bin/python3 -I -S {FOLDER}/run.py
END
systemctl daemon-reload
systemctl start {UNIT}
"""
CLEAN_UP = f"systemctl stop {UNIT}; rm -rf {FOLDER} /etc/systemd/system/{UNIT}; systemctl daemon-reload"
DATA = f"{FOLDER}/data"
DENIED, HIDDEN = "Permission denied", "No such file or directory"  # by the profile; by the mounts before it


class Parted(LabHost):
    before: list[str]
    verdicts: dict[str, dict[str, Any]]

    def sandbox(self, **options: object) -> dict[str, Any]:
        for name, text in POLICIES.items():
            (self.work / f"{name}.yml").write_text(text)
        given = {"policy": "aaparts", "policies_dirs": [str(self.work)], "confirm_within": 600}
        return self.run(**{**given, **options})[0]


@pytest.fixture(scope="module", params=chosen("qemu"))
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parted]:
    if request.param == "none":
        pytest.skip("no lab is up (make lab-up)")
    host = Parted(request.param, tmp_path_factory.mktemp(request.param))
    assert host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", "somebody uses this host"
    host.ssh(SET_UP)
    host.before = host.snapshot()
    try:
        result = host.sandbox()
        assert result["state"] == "confirmed", result
        host.verdicts = result["verdicts"]
        yield host
    finally:
        host.sandbox(state="absent", epoch=2**31)
        host.ssh(CLEAN_UP)


def test_the_component_is_no_clause_that_the_host_refuses(host: Parted) -> None:
    claim = host.verdicts["components[helper]"]
    assert claim["status"] in ("enforced", "partial")
    assert "apparmor child profile" in claim["mechanisms"]


def test_both_profiles_are_loaded_and_the_helper_runs_under_both(host: Parted) -> None:
    loaded = host.ssh("grep '^bulkhead' /sys/kernel/security/apparmor/profiles").splitlines()
    assert sorted(loaded) == [f"{PROFILE} (enforce)", f"{PROFILE}//helper (enforce)"]
    assert host.ask(DATA, "read", "/proc/self/attr/current") == f"{PROFILE} (enforce)"
    assert host.ask(DATA, "helper", "/proc/self/attr/current") == f"{PROFILE}//&{PROFILE}//helper (enforce)"


@pytest.mark.parametrize(
    ("act", "path", "answer"),
    [
        ("read", "public/file", "public/file"),
        ("helper", "public/file", "public/file"),
        ("read", "private/file", "private/file"),
        ("helper", "private/file", DENIED),  # the service may, the helper may not
        ("read", "elsewhere/file", HIDDEN),
        ("helper", "elsewhere/file", HIDDEN),  # the helper's policy grants it, the service's does not
        ("read", "logs/a.txt", "logs/a.txt"),
        ("read", "logs/a.key", DENIED),
    ],
)
def test_a_component_can_do_what_both_policies_allow(host: Parted, act: str, path: str, answer: str) -> None:
    assert host.ask(DATA, act, f"{FOLDER}/{path}") == answer


def test_its_denials_name_the_component(host: Parted) -> None:
    found, _text = host.run(module="denials_info", policy="aaparts", policies_dirs=[str(host.work)])
    clauses = {row["clause"] for row in found["denials"] if f"{FOLDER}/private" in str(row)}
    assert clauses == {"components[helper]"}, found["denials"]


def test_the_same_again_changes_nothing_and_there_is_no_drift(host: Parted) -> None:
    assert host.sandbox()["changed"] is False
    assert host.run(module="sandbox_info", policy="aaparts")[0]["drift"] == []


def test_absent_leaves_no_trace(host: Parted) -> None:
    assert host.sandbox(state="absent")["state"] == "absent"
    assert host.ssh("grep '^bulkhead' /sys/kernel/security/apparmor/profiles || true") == ""
    assert host.snapshot() == host.before
