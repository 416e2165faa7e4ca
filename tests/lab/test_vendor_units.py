# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of unit on a real host: confined as docs/host.md says, or refused with its reason. One run for all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from lab_host import INVENTORY, PLAYBOOK, ROOT, LabHost, inventory

pytestmark = pytest.mark.lab
NO_NEW = "grep NoNewPrivs /proc/self/status"
SYSV = """#!/bin/sh
### BEGIN INIT INFO
# Provides: vend-sysv
# Required-Start: $local_fs
# Required-Stop: $local_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: a script of System V
### END INIT INFO
case "$1" in start) sleep 3604 & ;; esac
exit 0
"""
# Files below /, by path.
FILES = {
    # What is left running by KillMode=process was started before the sandbox.
    "run/systemd/system/vend-fork.service": """[Service]
Type=forking
KillMode=process
ExecStart=/bin/sh -c 'sleep 3601 &'
""",
    "run/systemd/system/vend-sock.socket": "[Socket]\nListenStream=/run/vend-sock.sock\n",
    "run/systemd/system/vend-sock.service": "[Service]\nExecStart=/bin/sleep 3602\n",
    "run/systemd/system/vend-tmpl@.service": """[Service]
RuntimeDirectory=vend-%i/%p
ExecStart=/bin/sh -c 'cp /bin/true $RUNTIME_DIRECTORY/t; $RUNTIME_DIRECTORY/t && exec false; exec sleep 3603'
""",
    "run/systemd/system/vend-job.timer": "[Timer]\nOnActiveSec=1d\n",
    "run/systemd/system/vend-job.service": f"[Service]\nType=oneshot\nExecStart=/bin/{NO_NEW}\n",
    "run/systemd/system/vend-busy.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep 3000\n",
    "run/systemd/system/vend-dbus.service": "[Service]\nBusName=org.example.vend\nExecStart=/bin/sleep 9\n",
    "run/systemd/system/vend-manual.service": "[Unit]\nRefuseManualStop=yes\n[Service]\nExecStart=/bin/sleep 9\n",
    "run/systemd/system/vend-pam.service": "[Service]\nPAMName=login\nExecStart=/bin/sleep 9\n",
    "run/systemd/system/vend-dyn.service": """[Service]
DynamicUser=yes
StateDirectory=%p
ExecStart=/bin/sh -c 'cp /bin/true $STATE_DIRECTORY/t || exec false; $STATE_DIRECTORY/t && exec false; exec sleep 3605'
""",
    "run/systemd/system/vend-group.service": """[Service]
User=www-data
SupplementaryGroups=shadow
StandardOutput=append:/srv/vend-group.log
ExecStart=/bin/sh -c 'head -c1 /etc/shadow >/dev/null && exec false; exec sleep 3606'
""",
    "etc/systemd/user/vend-user.service": "[Service]\nExecStart=/bin/sleep 9\n",
    "etc/init.d/vend-sysv": SYSV,
}
POLICY = """schema: 1
policy: {name}
version: 1.0.0
owner: tests
risk: low
summary: A unit of its kind.
mode: enforce
workload: {{linux: {{unit: {unit}, executable: /usr/bin/sleep}}}}
identity: {{privileges: []}}
filesystem: {{read: [], write: [], execute: [/usr/bin/sh, /usr/bin/cp, /usr/bin/head, /usr/bin/sleep, /usr/bin/true]}}
network: {{listen: [], connect: [], families: [unix]}}
ipc: {{dbus: []}}
"""
CONFINED = ("fork", "sock", "tmpl", "job", "dyn", "group", "sysv")
REFUSED = {
    "other": "vend-other.service (here also vend-fork.service) is confined by policy vend-fork already",
    "busy": "vend-busy.service (Type=oneshot) is at work right now",
    "dbus": "the unit has Type=dbus and does not start without the bus",
    "manual": "RefuseManualStop= (nobody may restart it by hand",
    "pam": "PAMName= (a PAM session may move it",
    "masked": "vend-masked.service is 'masked' on this host",
    "user": "vend-user.service is a unit of users' own managers on this host",
}
# They end where they can do what they should not, so they run in their sandbox only.
CLOSED_ONLY = ("vend-tmpl@one", "vend-group")
RUNNING = ("fork", "sock", "tmpl@one", "group", "sysv")
PLAY = """
- hosts: {host}
  gather_facts: false
  tasks:
    - bulkhead.fleet.sandbox:
        policy: "vend-{{{{ item }}}}"
        policies_dirs: [{folder}]
        confirm_within: 900
        state: {state}
      loop: {names}
      register: outcome
      ignore_errors: true
    - ansible.builtin.copy: {{content: "{{{{ outcome | to_json }}}}", dest: {answer}, mode: "0600"}}
      delegate_to: localhost
      connection: local
      vars: {{ansible_python_interpreter: "{python}"}}
"""
# Lab hosts have the generator of scripts masked.
GENERATOR = "/run/systemd/system-generators/systemd-sysv-generator"
MAKE = f"""install -D /lib/systemd/system-generators/systemd-sysv-generator {GENERATOR}
systemctl daemon-reload
ln -s /run/systemd/system/vend-fork.service /run/systemd/system/vend-other.service
systemctl mask --runtime vend-masked.service 2>/dev/null
systemctl daemon-reload
systemctl start vend-sock.socket vend-fork vend-sock vend-sysv
systemctl start --no-block vend-busy"""
CLEAN = f"""systemctl stop 'vend-*' 2>/dev/null
rm -f {GENERATOR}; rmdir /run/systemd/system-generators 2>/dev/null
rm -rf /run/systemd/system/vend-* /etc/systemd/system/vend-* /etc/systemd/user/vend-* /etc/init.d/vend-sysv
rm -rf /srv/vend-group.log /var/lib/private/vend-dyn /var/lib/vend-dyn /run/vend-*
systemctl daemon-reload; systemctl reset-failed 'vend-*' 2>/dev/null; true"""


def play(host: LabHost, names: tuple[str, ...], state: str) -> dict[str, dict[str, Any]]:
    """{name: result} of one task for each of ``names``."""
    folder, answer = host.work / "policies", host.work / "answer.json"
    folder.mkdir(exist_ok=True)
    for name in names:
        unit = "vend-tmpl@.service" if name == "tmpl" else f"vend-{name}.service"
        (folder / f"vend-{name}.yml").write_text(POLICY.format(name=f"vend-{name}", unit=unit))
    words = {"host": host.name, "names": json.dumps(names), "python": sys.executable}
    path = host.work / "play.yml"
    path.write_text(PLAY.format(folder=folder, answer=answer, state=state, **words))
    done = subprocess.run(
        [str(PLAYBOOK), "-i", str(INVENTORY), str(path)],
        cwd=ROOT, env=os.environ | {"ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    host.show(done.stdout + done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    return {result["item"]: result for result in json.loads(answer.read_text())["results"]}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    names = os.environ.get("BULKHEAD_LAB_HOSTS", "").split() or list(inventory())
    if not names:
        pytest.skip("no lab is up (make lab-up)")
    host = LabHost(names[0], tmp_path_factory.mktemp("vendor"))
    write = "".join(f"cat > /{path} <<'END'\n{text}END\n" for path, text in FILES.items())
    try:
        host.ssh(f"mkdir -p /etc/systemd/user\n{write}chmod 755 /etc/init.d/vend-sysv")
        for line in MAKE.splitlines():  # each may take its time on a busy machine
            host.ssh(line)
        host.left = host.ssh("pgrep -xf 'sleep 3601'")  # type: ignore[attr-defined]
        yield host
    finally:
        host.ssh(CLEAN)


@pytest.fixture(scope="module")
def results(host: LabHost) -> Iterator[dict[str, dict[str, Any]]]:
    try:
        yield play(host, (*CONFINED, *REFUSED), "present")
    finally:
        gone = play(host, CONFINED, "absent")
        assert not [name for name, result in gone.items() if result.get("failed")]
        assert host.ssh("ls -d /etc/systemd/system/vend-* 2>/dev/null; true") == ""


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_confined_is_refused_with_its_reason(
    results: dict[str, dict[str, Any]], name: str
) -> None:
    result = results[name]
    assert result.get("failed") and result["state"] == "refused", result
    assert REFUSED[name] in result["msg"]


@pytest.mark.parametrize("name", CONFINED)
def test_what_can_be_confined_is(results: dict[str, dict[str, Any]], name: str) -> None:
    result = results[name]
    assert not result.get("failed"), result.get("msg")
    assert (result["changed"], result["state"]) == (True, "confirmed")


def test_every_process_of_a_confined_unit_is_in_its_sandbox(
    host: LabHost, results: dict[str, dict[str, Any]]
) -> None:
    host.ssh(f"systemctl start {' '.join(CLOSED_ONLY)}")
    look = "cat /sys/fs/cgroup$(systemctl show -P ControlGroup vend-$u)/cgroup.procs"
    seen = f"for p in $({look}); do echo $u $(grep NoNewPrivs /proc/$p/status | cut -f2); done"
    lines = [line.split() for line in host.ssh(f"for u in {' '.join(RUNNING)}; do {seen}; done").splitlines()]
    assert {unit for unit, _state in lines} == set(RUNNING)
    assert [unit for unit, state in lines if state != "1"] == []


def test_nothing_from_before_the_sandbox_lives_on(host: LabHost, results: dict[str, dict[str, Any]]) -> None:
    now = host.ssh("pgrep -xf 'sleep 3601'").split()
    assert len(now) == 1 and now[0] not in host.left.split()  # type: ignore[attr-defined]


def test_a_timers_job_and_a_stopped_unit_start_in_their_sandbox(
    host: LabHost, results: dict[str, dict[str, Any]]
) -> None:
    host.ssh("systemctl start vend-job.service vend-dyn.service")
    job = host.ssh("journalctl -q -b -o cat -u vend-job.service --no-pager")
    assert "NoNewPrivs:\t1" in job
    # It could write to its directory, and not run what it wrote there: else it would have ended.
    assert host.ssh("systemctl is-active vend-dyn.service") == "active"
    host.ssh(f"systemctl stop vend-dyn {' '.join(CLOSED_ONLY)}")


def test_what_the_unit_opens_is_said(results: dict[str, dict[str, Any]]) -> None:
    said = {clause: one["detail"] for clause, one in results["group"]["verdicts"].items()}
    assert "it is in the group 'shadow', which reads password hashes" in said["identity.privileges"]
    assert "/srv/vend-group.log is opened by systemd before the sandbox" in said["filesystem.write"]
    said = {clause: one["detail"] for clause, one in results["tmpl"]["verdicts"].items()}
    assert "/run/vend-one/vend-tmpl is writable" in said["filesystem.write"]
