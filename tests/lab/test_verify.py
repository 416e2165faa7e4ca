# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.verify on a real host, through its playbook: a policy that holds, and ways in which it stops to.

Takes BULKHEAD_LAB_HOST, else the first QEMU host of the lab. The policy must be applied by bulkhead.fleet.sandbox
first; the host is left without it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = Path(os.environ.get("BULKHEAD_LAB_INVENTORY", ROOT / "build/lab/inventory.yml"))
HOST = os.environ.get("BULKHEAD_LAB_HOST", "h1")
BIN = Path(sys.executable).parent

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(not INVENTORY.is_file(), reason="no lab is up (make lab-up)"),
]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / words[0]), "-i", str(INVENTORY), *words[1:]], cwd=ROOT, capture_output=True, text=True
    )


def on(command: str) -> str:
    done = run("ansible", HOST, "-m", "ansible.builtin.shell", "-a", command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.partition(">>\n")[2].strip()


def sandbox(**options: str) -> None:
    words = " ".join(f"{name}={value}" for name, value in {"policy": "nginx", **options}.items())
    done = run("ansible", HOST, "-m", "bulkhead.fleet.sandbox", "-a", words)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]


def verify(folder: Path, *more: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = run(
        "ansible-playbook",
        str(ROOT / "playbooks/verify.yml"),
        "-e",
        f"policy=nginx fleet={HOST} verify_dir={folder}",
        *more,
    )
    path = folder / "evidence/nginx" / f"{HOST}.json"
    assert path.is_file(), done.stdout[-4000:] + done.stderr[-2000:]
    return done, json.loads(path.read_text())


@pytest.fixture(scope="module")
def confined() -> Iterator[None]:
    was = on("systemctl is-active nginx || true")
    on("systemctl start nginx")
    try:
        sandbox()
        yield
    finally:
        sandbox(state="absent")
        if was != "active":
            on("systemctl stop nginx")


@pytest.fixture(scope="module")
def good(
    confined: None, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str], dict[str, Any]]:
    before = on("systemctl show nginx -p MainPID,ExecReload,DropInPaths,InvocationID; ls /run/systemd/system")
    folder = tmp_path_factory.mktemp("report")
    done, evidence = verify(folder)
    after = on("systemctl show nginx -p MainPID,ExecReload,DropInPaths,InvocationID; ls /run/systemd/system")
    assert after == before, "the probes left something behind"
    return folder, done, evidence


def test_every_clause_of_nginx_holds(good: Any) -> None:
    _folder, done, evidence = good
    bad = [
        (c["clause"], c["failures"] + c["unsure"])
        for c in evidence["clauses"]
        if c["outcome"] in ("failed", "inconclusive")
    ]
    assert not bad
    assert done.returncode == 0, done.stdout[-4000:]
    assert evidence["method"] == "reload"
    assert evidence["troubles"] == []
    probes = [probe for clause in evidence["clauses"] for probe in clause["probes"]]
    assert [probe for probe in probes if probe["expect"] == "deny" and probe["ok"]]
    assert [probe for probe in probes if probe["expect"] == "allow" and probe["ok"]]


def test_one_test_case_for_each_host_and_clause(good: Any) -> None:
    folder, _done, evidence = good
    cases = ET.parse(folder / "junit.xml").getroot().findall(".//testcase")
    named = {case.get("name") for case in cases}
    assert {f"test_clause[{HOST}-{clause['clause']}]" for clause in evidence["clauses"]} <= named
    assert "<!DOCTYPE html>" in (folder / "report.html").read_text()[:50]


def test_the_service_can_still_be_reloaded(good: Any) -> None:
    assert on("systemctl reload nginx && systemctl is-active nginx") == "active"


def test_a_table_that_is_gone_is_found_by_both_readings(good: Any, tmp_path: Path) -> None:
    on("echo 'delete table inet bulkhead_nginx' >/run/bulkhead-net-nginx/commands; sleep 2")  # its owner only
    try:
        done, evidence = verify(tmp_path)
    finally:
        on("systemctl restart bulkhead-net-nginx.service nginx")
    assert done.returncode != 0
    failed = {clause["clause"] for clause in evidence["clauses"] if clause["outcome"] == "failed"}
    assert any(clause.startswith("network.") for clause in failed)
    assert ET.parse(tmp_path / "junit.xml").getroot().findall(".//failure")
    assert (tmp_path / "report.html").is_file()


def test_a_main_process_with_an_older_sandbox_is_named(good: Any, tmp_path: Path) -> None:
    dropin = "/run/systemd/system/nginx.service.d/zzy-looser.conf"
    folder = dropin.rpartition("/")[0]
    on(f"mkdir -p {folder} && printf '[Service]\nNoNewPrivileges=no\nSystemCallFilter=\n' > {dropin}")
    try:
        on("systemctl daemon-reload && systemctl restart nginx")
        on(f"rm {dropin} && systemctl daemon-reload")
        done, evidence = verify(tmp_path, "-e", "verify_testinfra=false")
    finally:
        on(f"rm -f {dropin}; rmdir {folder} 2>/dev/null; systemctl daemon-reload && systemctl restart nginx")
    assert done.returncode != 0
    (trouble,) = evidence["troubles"]
    assert trouble.startswith(
        "the main process of nginx.service runs an older sandbox than a fresh start gets"
    )
    assert re.search(r"it has \d+ system call filters instead of \d+", trouble)


def test_a_host_without_the_policy_is_reported_and_fails(tmp_path: Path) -> None:
    done = run(
        "ansible-playbook", str(ROOT / "playbooks/verify.yml"),
        "-e", f"policy=redis fleet={HOST} verify_dir={tmp_path} verify_testinfra=false",
    )  # fmt: skip
    assert done.returncode != 0
    data = json.loads((tmp_path / "evidence/redis" / f"{HOST}.json").read_text())
    assert data["missing"] == "policy 'redis' is not applied on this host, so there is nothing to verify."
    assert "no evidence" in (tmp_path / "report.html").read_text()
