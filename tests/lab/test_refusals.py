# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that cannot take a policy: each says why in words, and nothing is changed there.

An unreachable host is part of test_rollout.py.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_host import ROOT, LabHost, inventory

pytestmark = pytest.mark.lab
FULL = "/lab-test-filler"
# Every systemctl that a login could find, aside.
HIDE = "for p in /usr/bin/systemctl /bin/systemctl; do test -L /bin -a $p = /bin/systemctl || mv $p $p.aside; done"
SHOW = "for p in /usr/bin/systemctl /bin/systemctl; do test ! -e $p.aside || mv $p.aside $p; done"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    found = [name for name, one in inventory().items() if one["bulkhead_lab_kind"] == "qemu"]
    names = os.environ.get("BULKHEAD_LAB_HOSTS", "").split() or found
    if not names:
        pytest.skip("no lab is up (make lab-up)")
    host = LabHost(names[0], tmp_path_factory.mktemp("refusals"))
    assert host.ssh("test -e /var/lib/bulkhead && echo there || true") == "", "somebody uses this host"
    host.ssh("systemctl start nginx.service")
    try:
        yield host
    finally:
        host.ssh("systemctl stop nginx.service")


@pytest.fixture
def before(host: LabHost) -> list[str]:
    return host.snapshot()


def refused(host: LabHost, **options: object) -> str:
    """The message of a task that must fail, with no word of Python in what the terminal shows."""
    result, text = host.run(**options)
    assert result.get("failed"), result
    assert "Traceback" not in text
    return str(result["msg"])


def renamed(host: LabHost, name: str, *replacements: tuple[str, str]) -> Path:
    folder = host.policy(name, ("policy: nginx", f"policy: {name}"), *replacements)
    (folder / "nginx.yml").rename(folder / f"{name}.yml")
    return folder


def test_a_unit_that_does_not_exist(host: LabHost, before: list[str]) -> None:
    folder = renamed(host, "lost", ("unit: nginx.service", "unit: no-such.service"))
    text = refused(host, policy="lost", policies_dirs=[str(folder)])
    assert "Unit no-such.service is not on this host: install its package first" in text
    assert host.snapshot() == before


def test_a_second_policy_for_one_unit(host: LabHost) -> None:
    host.run()
    try:
        held = host.snapshot()
        text = refused(host, policy="twin", policies_dirs=[str(renamed(host, "twin"))])
        assert "nginx.service" in text and "policy nginx" in text.replace("'", "")
        assert host.snapshot() == held
    finally:
        host.run(state="absent")


def test_a_host_without_systemd(host: LabHost, before: list[str]) -> None:
    host.ssh(HIDE)
    try:
        text = refused(host)
    finally:
        host.ssh(SHOW)
    assert "systemd" in text
    assert host.snapshot() == before


def test_a_host_out_of_disk(host: LabHost, before: list[str]) -> None:
    # Space for nothing: unwritten extents, so that the machine's own disk file does not grow.
    host.ssh(
        f"fallocate -l $(($(stat -f -c '%f*%S' /var/lib) - 65536)) {FULL}; cat /dev/zero >>{FULL} 2>/dev/null || true"
    )
    try:
        text = refused(host)
    finally:
        host.ssh(f"rm -f {FULL}")
    assert "free disk space" in text or "No space left on device" in text
    assert host.snapshot() == before
    assert host.unit()["ActiveState"] == "active"


def test_a_policy_that_nobody_knows_names_where_it_was_sought(host: LabHost, before: list[str]) -> None:
    text = refused(host, policy="ngnix", policies_dirs=[str(ROOT / "policies")])
    assert "ngnix" in text and "nginx" in text
    assert host.snapshot() == before
