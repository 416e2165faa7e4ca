# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from apparmor_model import Profile
from linux_support import by_systemd, content, host, manifest, path, values

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import apparmor
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import (
    Compilation,
    Features,
    Status,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import asked_paths
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

CLOSED = (
    m.ReadClosure("filesystem.read"),
    m.WriteClosure("filesystem.write"),
    m.ExecuteClosure("filesystem.execute"),
    m.PrivilegeClosure("identity.privileges"),
)


def compiled(*clauses: m.Clause, on: Features | None = None, mode: m.Mode = m.Mode.ENFORCE) -> Compilation:
    return apparmor.compile(manifest(*clauses, mode=mode), on or host())


def profile(made: Compilation) -> Profile:
    return Profile(content(made, "bulkhead.demo"))


def said(made: Compilation) -> dict[str, tuple[Status, str]]:
    return {item.clause: (item.status, item.detail) for item in made.verdicts}


def test_a_profile_and_the_unit_that_loads_it_before_the_application():
    made = compiled(*CLOSED)
    assert [(item.path, item.kind, item.mode) for item in made.artifacts] == [
        ("/etc/apparmor.d/bulkhead.demo", "apparmor", 0o644),
        ("/etc/systemd/system/bulkhead-apparmor-demo.service", "systemd_unit", 0o644),
    ]
    assert {item.unit for item in made.artifacts} == {"bulkhead-apparmor-demo.service"}
    assert made.units == ("bulkhead-apparmor-demo.service",)
    unit = content(made, "bulkhead-apparmor-demo.service")
    assert "Before=demo.service\n" in unit and "After=local-fs.target apparmor.service\n" in unit
    assert "ExecStart=/sbin/apparmor_parser -r -K /etc/apparmor.d/bulkhead.demo\n" in unit
    assert "Conflicts=" not in unit  # a shutdown would unload it from under what still runs
    labels = [(item.kind, item.value) for item in made.readbacks if item.kind != "unit_state"]
    assert labels == [("apparmor_profile", "enforce"), ("process_label", "bulkhead.demo (enforce)")]


def test_the_drop_in_names_the_profile_without_a_dash_and_requires_its_unit():
    made = by_systemd(*CLOSED)
    assert values(made, "AppArmorProfile") == ["bulkhead.demo"]
    assert "bulkhead-apparmor-demo.service" in values(made, "Requires")
    assert "bulkhead-apparmor-demo.service" in values(made, "After")


@pytest.mark.parametrize(
    "facts",
    [
        {"apparmor": {"enabled": False, "parser": "3.0.8", "abis": ["3.0"]}},
        {"apparmor": {"enabled": True, "parser": "", "abis": ["3.0"]}},
        {"apparmor": {"enabled": True, "parser": "2.13.6", "abis": ["kernel-5.4-vanilla"]}},
        {"apparmor": {}},
        {"lsm": ["capability", "bpf"]},
        {"container": True},
        {"systemd": {"version": 252, "flags": {"APPARMOR": False, "SECCOMP": True}}},
    ],
)
def test_no_word_of_it_where_the_host_cannot(facts):
    on = host(**facts)
    assert compiled(*CLOSED, on=on) == Compilation()
    assert values(by_systemd(*CLOSED, on=on), "AppArmorProfile") == []
    assert "apparmor" not in content(by_systemd(*CLOSED, on=on), "zz-bulkhead.conf")


def test_every_rule_names_its_clause():
    made = compiled(*CLOSED, m.Read("r", path=path("/srv/a")), m.Privilege("p", name="lock_memory"))
    (artifact,) = [item for item in made.artifacts if item.kind == "apparmor"]
    lines = artifact.content.decode().split("\n")
    owners = dict(artifact.lines)
    assert sorted(owners) == [number for number, line in enumerate(lines, 1) if line.startswith("  ")]
    assert owners[lines.index('  "/srv/a{,/,/**}" rk,') + 1] == "r"
    assert owners[lines.index("  capability ipc_lock,") + 1] == "p"


def test_the_closures_are_enforced_by_name():
    made = compiled(*CLOSED, m.Deny("d", path=path("/srv/x")), m.SpawnClosure("processes.spawn"))
    assert {status for status, _detail in said(made).values()} == {Status.ENFORCED}
    assert "map code that it holds in memory (memfd)" in said(made)["filesystem.execute"][1]
    rules = profile(made)
    for place in ("/usr/lib/x.so", "/usr/lib/prog"):
        assert rules.allows(place, "m") and not rules.allows(place, "x")
    for place in ("/tmp/x", "/dev/shm/x", "/var/tmp/x"):
        assert rules.allows(place, "w") and not rules.allows(place, "m") and not rules.allows(place, "x")
    for place in (
        "/etc/shadow",
        "/etc/fstab",
        "/srv/x",
        "/usr/bin/sh",
        "/root/.ssh",
        "/proc/sys/kernel/core_pattern",
    ):
        assert not any(rules.allows(place, letter) for letter in "rwxm")
    assert rules.allows("/etc/hosts", "r") and rules.allows("/proc/1/status", "r")
    assert "signal (send) peer=bulkhead.demo" in rules.others and "mount" not in rules.others


def test_systemd_starts_the_units_own_programs_so_the_service_need_not_be_able_to():
    made = compiled(
        *CLOSED, on=host(service={"ExecStart": ["/usr/sbin/demo"], "ExecReload": ["/bin/kill -HUP 1"]})
    )
    rules = profile(made)
    assert not rules.allows("/usr/sbin/demo", "x") and not rules.allows("/usr/bin/kill", "x")


def test_a_script_can_be_read_by_its_interpreter():
    on = host(service={"ExecStart": ["/opt/run.py"]})
    on.data["unit"]["interpreters"] = {"/opt/run.py": "/usr/bin/python3"}
    rules = profile(compiled(*CLOSED, on=on))
    assert rules.allows("/opt/run.py", "r") and not rules.allows("/opt/run.py", "x")


def test_what_runs_outside_of_the_sandbox_is_said_and_its_label_is_not_asked_for():
    on = host(service={"ExecStart": ["+/usr/sbin/demo"]})
    made = compiled(*CLOSED, m.Deny("d", path=path("/srv/x")), on=on)
    assert said(made)["filesystem.execute"][1].startswith(
        "/usr/sbin/demo runs outside of the sandbox (prefix '+'); "
    )
    assert {status for status, _detail in said(made).values()} == {Status.PARTIAL}
    assert "process_label" not in {item.kind for item in made.readbacks}


def test_the_profile_of_a_vendor_is_replaced_and_that_is_said():
    made = compiled(*CLOSED, on=host(service={"AppArmorProfile": ["vendor"]}))
    assert said(made)["filesystem.read"] == (
        Status.ENFORCED,
        "replaces the unit's own AppArmorProfile=vendor",
    )


def test_what_the_unit_makes_for_itself_stays_writable_and_is_said():
    made = compiled(*CLOSED, on=host(service={"StateDirectory": ["demo"]}))
    assert profile(made).allows("/var/lib/demo/x", "w")
    assert said(made)["filesystem.write"] == (
        Status.PARTIAL, "/var/lib/demo is writable, because the unit's own StateDirectory= makes it"
    )  # fmt: skip


def test_links_are_followed_and_a_denial_through_one_says_what_it_holds_for():
    on = host(links={"/usr/bin/python3": "/usr/bin/python3.11", "/srv/now": "/srv/v2"})
    made = compiled(
        m.Execute("e", path=path("/usr/bin/python3")), m.Execute("k", path=path("/bin/kill")),
        m.Deny("d", path=path("/srv/now")), on=on,
    )  # fmt: skip
    rules = profile(made)
    assert rules.allows("/usr/bin/python3.11", "x") and rules.allows("/usr/bin/kill", "x")
    assert not rules.allows("/usr/bin/python3.1", "x")
    assert [rule.where for rule in rules.files if rule.deny] == ["/srv/now{,/,/**}", "/srv/v2{,/,/**}"]
    assert said(made)["d"][0] is Status.PARTIAL and "a link to '/srv/v2'" in said(made)["d"][1]


def test_the_host_is_asked_for_links_in_the_policys_paths():
    given = manifest(
        m.Read("r", path=path("/srv/b")), m.Deny("d", path=path("/var/run/a")),
        m.Deny("g", path=path("/srv/*", glob=True)), m.Secret("s", source=path("/etc/key")),
    )  # fmt: skip
    assert asked_paths(given, m.OS.LINUX) == ("/etc/key", "/run/a", "/srv/b")
    assert asked_paths(given, m.OS.MACOS) == ()


@pytest.mark.parametrize("granted", [True, False])
def test_huge_pages_are_the_kernels_own_root_and_take_the_privilege(granted):
    made = compiled(*CLOSED, *([m.Privilege("p", name="lock_memory")] if granted else []))
    rules = profile(made)
    assert [rules.allows("/", letter) for letter in "rwkmx"] == [granted, granted, False, False, False]
    assert not any(rules.allows(place, "r") for place in ("/x", "//", "/srv/"))
    assert ('  "/" rw,' in content(made, "bulkhead.demo")) is granted


def test_sockets_by_family_and_type():
    made = compiled(
        m.Families("network.families", names=("ipv4", "unix")), m.Privilege("p", name="raw_network")
    )
    rules = profile(made).others
    assert [rule for rule in rules if rule.startswith("network")] == [
        *("network inet stream", "network inet dgram", "network inet raw"),
        *("network unix stream", "network unix dgram", "network unix seqpacket"),
    ]
    assert said(made)["network.families"][0] is Status.ENFORCED


@pytest.mark.parametrize(("groups", "mounts"), [((), False), (("namespaces",), True)])
def test_to_mount_takes_the_privilege_and_the_calls(groups, mounts):
    clauses = (m.Privilege("p", name="administer_system"), m.Syscalls("processes.syscalls", groups=groups))
    made = compiled(*CLOSED, *clauses)
    assert ("mount" in profile(made).others) is mounts
    assert (said(made)["filesystem.read"][0] is Status.PARTIAL) is mounts


def test_a_grant_is_not_claimed_where_the_mounts_cannot_carry_it():
    made = compiled(
        m.Read("colon", path=path("/srv/a:b")), m.Write("tmp", path=path("/tmp/x")),
        m.Write("pattern", path=path("/srv/*.log", glob=True)), m.Read("hidden", path=path("/var/lib/*.d", glob=True)),
        m.Read("shown", path=path("/etc/demo/*.conf", glob=True)),
    )  # fmt: skip
    found = said(made)
    assert "colon" not in found and "tmp" not in found
    assert found["pattern"][0] is found["hidden"][0] is Status.REFUSED
    assert "take no patterns ('/srv/*.log', pattern)" in found["pattern"][1]
    assert found["shown"] == (Status.ENFORCED, "")
    assert profile(made).allows("/etc/demo/x.conf", "r") and not profile(made).allows("/etc/demo/x.key", "r")


def test_audit_denies_nothing_and_lists_every_program():
    clauses = (*CLOSED, m.Write("w", path=path("/srv")), m.Deny("d", path=path("/srv/x")))
    made = compiled(*clauses, m.Execute("e", path=path("/usr/sbin/demo")), mode=m.Mode.AUDIT)
    rules = profile(made)
    assert rules.flags == {"complain", "attach_disconnected", "mediate_deleted"}
    assert not any(rule.deny for rule in rules.files)
    # In complain mode a program without a rule gets a profile of its own, which NoNewPrivileges refuses.
    for program in ("/usr/bin/sh", "/srv/x", "/usr/sbin/demo", "/usr/sbin/demon", "/memfd:x"):
        assert rules.allows(program, "x")
    logged = [rule for rule in rules.files if rule.audit]
    assert not any(rule.matches.fullmatch(b"/usr/sbin/demo") for rule in logged)
    assert any(rule.matches.fullmatch(b"/usr/bin/sh") for rule in logged)
    assert {status for status, _detail in said(made).values()} == {Status.PARTIAL}
    assert said(made)["d"][1] == "audit: logged by the profile, not denied"
    assert [item.value for item in made.readbacks][1:] == ["complain", "bulkhead.demo (complain)"]
