# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Templates and their instances, programs that systemd searches for, and a PID file for an account without rights."""

from __future__ import annotations

from dataclasses import replace

import pytest
from linux_support import UNIT, by_systemd, content, host, manifest, path, values, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_host import Host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_names import is_instance
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

SEARCH = "/usr/lib/demo/2/bin:/usr/lib/demo/1/bin"


def override(key: str, value: str) -> m.Override:
    return m.Override(f"overrides.linux.systemd.{key}", m.OS.LINUX, "systemd", key, value)


@pytest.mark.parametrize(
    ("unit", "template", "is_one"),
    [
        ("postgresql@15-main.service", "postgresql@.service", True),
        ("postgresql@.service", "postgresql@.service", False),
        ("postgresql.service", "postgresql@.service", False),
        ("xpostgresql@1.service", "postgresql@.service", False),
        ("nginx.service", "nginx.service", False),
        ("postgresql@15-main.service", "postgresql@15-main.service", False),
    ],
)
def test_instances_of_a_template(unit: str, template: str, is_one: bool) -> None:
    assert is_instance(unit, template) is is_one


def test_a_policy_of_a_template_is_about_the_instance_in_the_facts() -> None:
    asked = replace(manifest(), workloads=(m.Workload(m.OS.LINUX, "postgresql@.service"),))
    assert (
        Host(asked, features.reference("debian12", "postgresql@.service")).unit
        == "postgresql@15-main.service"
    )
    with pytest.raises(
        BackendError, match=r"facts are about the unit 'nginx.service', not about postgresql@.service"
    ):
        Host(asked, features.reference("debian12", "nginx.service"))


def test_a_program_without_a_path_may_be_in_each_folder_that_is_searched() -> None:
    overrides = (override("ExecSearchPath", SEARCH), override("ExecStart", "demo --serve"))
    found = Host(manifest(overrides=overrides), host())
    assert [program.path for program in found.programs] == [
        "/usr/lib/demo/2/bin/demo",
        "/usr/lib/demo/1/bin/demo",
    ]
    made = by_systemd(overrides=overrides)
    assert values(made, "ExecStart") == ["demo --serve"]
    assert values(made, "ExecSearchPath") == [SEARCH]


def test_a_program_without_a_path_is_refused_where_nothing_is_searched() -> None:
    made = by_systemd(overrides=(override("ExecStart", "demo --serve"),))
    said = verdict(made, "overrides.linux.systemd.ExecStart")
    assert said.status is Status.REFUSED
    assert said.detail == (
        "'demo --serve' names no program by its full path (overrides.linux.systemd.ExecStart): begin with '/'."
    )
    relative = (override("ExecSearchPath", SEARCH), override("ExecStart", "bin/demo"))
    assert verdict(by_systemd(overrides=relative), relative[1].id).status is Status.REFUSED


def test_a_search_path_is_refused_before_systemd_250() -> None:
    made = by_systemd(overrides=(override("ExecSearchPath", SEARCH),), on=host("debian11"))
    said = verdict(made, "overrides.linux.systemd.ExecSearchPath")
    assert (said.status, "begins with systemd 250, this host has 247" in said.detail) == (
        Status.REFUSED,
        True,
    )


FORKING = {"Type": ["forking"], "PIDFile": ["/run/demo.pid"], "ExecCondition": ["/usr/bin/true"]}


def test_a_pid_file_in_run_is_made_for_an_account_that_could_not() -> None:
    clause = m.Write("w", path=path("/run/demo.pid"))
    made = by_systemd(m.User("u", name="www-data"), clause, on=host(service=FORKING))
    assert values(made, "ExecCondition") == [
        "/usr/bin/true",  # the vendor's own is kept
        "+/usr/bin/touch -- /run/demo.pid",
        "+/usr/bin/chown www-data -- /run/demo.pid",
    ]
    assert "\nPIDFile=\n" in content(made, "zz-bulkhead.conf")
    assert values(made, "ReadWritePaths") == ["-/run/demo.pid"]
    assert verdict(made, "w").status is Status.ENFORCED


def test_root_makes_its_pid_file_itself_and_all_of_run_is_open_for_it() -> None:
    made = by_systemd(m.Write("w", path=path("/run/demo.pid")), on=host(service=FORKING))
    assert values(made, "ExecCondition") == []
    assert "PIDFile=" not in content(made, "zz-bulkhead.conf")
    why = "/run is writable as a whole, because /run/demo.pid is made in it at start"
    assert (verdict(made, "w").status, made.loose) == (Status.ENFORCED, (("w", why),))
    assert values(made, "ReadWritePaths") == ["-/run"]


def test_a_pid_file_that_a_clause_settles_cannot_be_set_by_hand() -> None:
    by_hand = override("PIDFile", "/run/demo.pid")
    clauses = (m.User("u", name="www-data"), m.Write("w", path=path("/run/demo.pid")))
    said = verdict(by_systemd(*clauses, overrides=(by_hand,), on=host(service=FORKING)), by_hand.id)
    assert said.status is Status.REFUSED
    assert (
        said.detail == "PIDFile= is set by a clause already (overrides.linux.systemd.PIDFile): leave it out."
    )


def test_the_unit_of_these_tests_is_a_plain_one() -> None:
    assert Host(manifest(), host()).unit == UNIT


def test_a_dropin_that_is_read_after_ours_is_refused() -> None:
    late = "/etc/systemd/system/nginx.service.d/zzz.conf"
    unit = dict(host().data["unit"], dropins=["/etc/systemd/system/nginx.service.d/a.conf", late])
    with pytest.raises(BackendError, match=rf"{late}: read after Bulkhead's own zz-bulkhead\.conf"):
        by_systemd(on=host(unit=unit))
    by_systemd(on=host(unit=dict(unit, dropins=unit["dropins"][:1])))
