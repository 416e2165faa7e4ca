# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the exam of verdicts found on hosts, so that it stays mended."""

from __future__ import annotations

import pytest
from linux_support import by_systemd, host, path, values, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

CLOSED = m.WriteClosure("filesystem.write")


@pytest.mark.parametrize(
    ("container", "grants", "closed"),
    [
        (True, (), True),
        (True, (m.Write("w", path=path("/run/demo")),), True),
        (True, (m.Write("w", path=path("/run")),), False),
        (False, (), True),
        (False, (m.Write("w", path=path("/run")),), False),
    ],
)
def test_run_is_closed_by_name_unless_all_of_it_is_granted(
    container: bool, grants: tuple[m.Write, ...], closed: bool
) -> None:
    made = by_systemd(CLOSED, *grants, on=host(container=container))
    assert ("-/run" in values(made, "ReadOnlyPaths")) is closed
    read_back = [(one.kind, one.key, one.value) for one in made.readbacks]
    assert (("mount_option", "/run", "ro") in read_back) is closed


def test_no_verdict_says_that_the_environment_is_closed_to_the_administrator() -> None:
    found = verdict(by_systemd(m.EnvironmentClosure("environment.allow", names=("TZ",))), "environment.allow")
    assert found.status is Status.PARTIAL
    assert "systemctl set-environment" in found.detail


@pytest.mark.parametrize(("families", "abstract"), [(("ipv4", "unix"), True), (("unix",), False)])
def test_without_a_network_no_abstract_socket_of_others_is_there(
    families: tuple[str, ...], abstract: bool
) -> None:
    clauses = (m.UnixSocketClosure("ipc.unix"), m.Families("network.families", names=families))
    detail = verdict(by_systemd(*clauses), "ipc.unix").detail
    assert ("abstract sockets" in detail) is abstract
    assert "other path sockets" in detail


def test_a_renamed_program_is_no_hole_as_its_mount_goes_along() -> None:
    found = verdict(by_systemd(m.ExecuteClosure("filesystem.execute")), "filesystem.execute")
    assert "memory only" in found.detail and "rename" not in found.detail


@pytest.mark.parametrize(("version", "carried"), [(247, False), (248, True)])
def test_a_systemd_that_does_not_know_a_directive_is_not_handed_it(version: int, carried: bool) -> None:
    clauses = (m.ExecuteClosure("filesystem.execute"), m.SpawnClosure("processes.spawn"))
    flags = {"SECCOMP": True}
    made = by_systemd(CLOSED, *clauses, on=host(systemd={"version": version, "flags": flags}))
    assert bool(values(made, "NoExecPaths")) is carried
    for clause in clauses:
        found = verdict(made, clause.id)
        assert found.status is (Status.PARTIAL if carried else Status.REFUSED)
        assert ("begins with systemd 248, this host has 247" in found.detail) is not carried


@pytest.mark.parametrize(("filters", "status"), [(True, Status.ENFORCED), (False, Status.PARTIAL)])
def test_a_container_filters_devices_where_it_may_load_a_filter(filters: bool, status: Status) -> None:
    made = by_systemd(
        m.DeviceClosure("devices"), on=host(container=True, cgroup={"mode": "v2", "device_filter": filters})
    )
    assert verdict(made, "devices").status is status
