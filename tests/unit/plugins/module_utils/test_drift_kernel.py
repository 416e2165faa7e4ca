# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel holds, from files as it writes them; what cannot be read is no drift."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from host_fixtures import data

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    bundles,
    drift_kernel,
    readback,
    readback_facts,
)

LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max file size             unlimited            unlimited            bytes
Max core file size        0                    0                    bytes
Max open files            1024                 4096                 files
"""
DROPIN = "/etc/systemd/system/web.service.d/zz-bulkhead.conf"


def item(key: str, value: str) -> dict[str, str]:
    return {
        "clause": "c", "kind": "unit_property", "key": key, "value": value, "unit": "", "relation": "equals",
    }  # fmt: skip


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> readback_facts.Facts:
    for name, text in {
        "proc/7/limits": LIMITS,
        "proc/7/status": "CapBnd:\t0000000000000000\n",
        "cg/web/memory.swap.max": "max\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(readback_facts, "PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(readback_facts, "CGROUP", str(tmp_path / "cg"))
    found = readback_facts.Facts()
    found.know({"web.service": {"MainPID": "7", "ControlGroup": "/web"}})
    return found


def bad(facts: readback_facts.Facts, *items: dict[str, str]) -> list[tuple[str, str]]:
    made = drift_kernel.derived(list(items), facts, "web.service")
    results = readback.evaluate(made, facts, "web.service", load=False)
    return [(result["key"], result["got"]) for result in results if not result["ok"]]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("LimitNOFILE", "1024", [("Max open files", "4096")]),
        ("LimitNOFILE", "8192", []),
        ("LimitNOFILE", "infinity", []),
        ("LimitFSIZE", "1024", [("Max file size", "max")]),
        ("LimitFSIZE", "infinity", []),
        ("LimitCORE", "1", []),
        ("MemorySwapMax", "0", [("memory.swap.max", "max")]),
        ("MemorySwapMax", "infinity", []),
        ("TasksMax", "5", []),
    ],
)
def test_what_the_kernel_holds_is_no_more_than_systemd_says(
    facts: readback_facts.Facts, key: str, value: str, expected: list[tuple[str, str]]
) -> None:
    assert bad(facts, item(key, value)) == expected


def test_what_cannot_be_read_is_no_drift(facts: readback_facts.Facts, tmp_path: Path) -> None:
    for name in ("proc/7/limits", "cg/web/memory.swap.max"):  # without swap accounting, and on cgroup v1
        (tmp_path / name).unlink()
    assert bad(facts, item("LimitNOFILE", "1"), item("MemorySwapMax", "0")) == []


@pytest.mark.parametrize("bound", ["0000000001000000", "000001ffffffffff"])
def test_who_may_raise_its_own_limits_has_not_drifted(
    facts: readback_facts.Facts, tmp_path: Path, bound: str
) -> None:
    (tmp_path / "proc/7/status").write_text(f"CapBnd:\t{bound}\n")
    assert bad(facts, item("LimitNOFILE", "1")) == []


def denying(path: str, apparmor: bool = False) -> bundles.Bundle:
    found: dict[str, Any] = data(lines={DROPIN: [[2, "filesystem.deny[0]"], [3, "filesystem.read"]]})
    found["artifacts"][0]["content"] = f"[Service]\nInaccessiblePaths=-{path}\nInaccessiblePaths=-/etc\n"
    if apparmor:
        found["artifacts"].append(
            dict(found["artifacts"][1], path="/etc/apparmor.d/bulkhead.web", kind="apparmor")
        )
    return bundles.build({**found, "digest": bundles.digest(found)})


def test_a_denied_path_that_the_process_reaches_is_told(tmp_path: Path) -> None:
    """This process is in no sandbox: it has the host's own files."""
    path, me = str(tmp_path / "secret"), {"MainPID": str(os.getpid())}
    assert drift_kernel.reaching(denying(path), me) == []  # not there
    Path(path).write_text("secret")
    ((what, why, clauses),) = drift_kernel.reaching(denying(path), me)
    assert (what, set(clauses)) == (path, {"filesystem.deny[0]"}) and "restart the service" in why
    assert drift_kernel.reaching(denying(path), {"MainPID": "0"}) == []
    assert drift_kernel.reaching(denying(path, apparmor=True), me) == []
    Path(path).chmod(0)  # as what systemd mounts over it
    assert drift_kernel.reaching(denying(path), me) == []
    link = tmp_path / "link"
    link.symlink_to("/etc/hostname")
    assert drift_kernel.reaching(denying(str(link)), me) == []


def test_another_file_at_the_place_is_a_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback_facts, "PROC", str(tmp_path / "proc"))
    path = tmp_path / "secret"
    inside = Path(f"{tmp_path}/proc/7/root{path}")
    inside.parent.mkdir(parents=True)
    path.write_text("secret")
    inside.write_text("another")
    assert not drift_kernel.reached(7, str(path))
    inside.unlink()
    os.link(path, inside)
    assert drift_kernel.reached(7, str(path))
