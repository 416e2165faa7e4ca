# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What undoes a clause is refused, or lowers the clause's verdict: overrides, privileges, vendors' units, grants."""

from __future__ import annotations

from dataclasses import replace

import pytest
from linux_support import TODAY, UNIT, by_nftables, by_systemd, host, manifest, path, values, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

WRITE = m.WriteClosure("filesystem.write")
PRIVILEGES = m.PrivilegeClosure("identity.privileges")
BUS = m.BusClosure("ipc.dbus")
SOCKETS = m.UnixSocketClosure("ipc.unix")


def overrides(*pairs: tuple[str, str]) -> tuple[m.Override, ...]:
    return tuple(
        m.Override(f"overrides.linux.systemd.{key}", m.OS.LINUX, "systemd", key, value)
        for key, value in pairs
    )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ExecStartPre", "/usr/bin/true ; +/usr/bin/id", "could start a second command"),
        ("ExecStartPre", '"+sh" -c id', "hide a prefix in quotes"),
        ("ExecStartPre", "\\x2bsh -c id", "hide a prefix in quotes"),
        (
            "StandardOutput",
            "truncate:/etc/passwd",
            "systemd opens 'truncate:/etc/passwd' outside of the sandbox",
        ),
        ("StandardInput", "file:/etc/shadow", "outside of the sandbox"),
        ("KillMode", "none", "would let processes from before the sandbox live on"),
        ("RestartForceExitStatus", "0 1", "would undo the clause resilience.restart"),
        ("SendSIGKILL", "no", "would let processes from before the sandbox live on"),
        ("FinalKillSignal", "SIGCONT", "'SIGCONT' is nothing that FinalKillSignal= takes"),
    ],
)
def test_overrides_that_undo_a_clause_are_refused(key: str, value: str, said: str) -> None:
    clauses = (
        m.Restart("resilience.restart", when="never"),
        m.StopTimeout("resilience.stop_timeout", seconds=5),
    )
    made = by_systemd(*clauses, overrides=overrides(("ExecSearchPath", "/usr/bin"), (key, value)))
    found = verdict(made, f"overrides.linux.systemd.{key}")
    assert found.status is Status.REFUSED
    assert said in found.detail
    assert values(made, key) == []


@pytest.mark.parametrize(("name", "status"), [("debian12", Status.ENFORCED), ("debian11", Status.REFUSED)])
def test_a_program_without_a_path_needs_a_systemd_that_searches(name: str, status: Status) -> None:
    pairs = (("ExecSearchPath", "/usr/lib/demo"), ("ExecStart", "demo -x"))
    made = by_systemd(on=host(name), overrides=overrides(*pairs))
    assert verdict(made, "overrides.linux.systemd.ExecStart").status is status
    assert verdict(made, "overrides.linux.systemd.ExecSearchPath").status is status


def test_what_counts_on_a_refused_override_opens_nothing() -> None:
    pairs = (("ExecSearchPath", "no-folder"), ("ExecStart", "demo -x"))
    made = by_systemd(m.ExecuteClosure("c"), overrides=overrides(*pairs))
    assert verdict(made, "overrides.linux.systemd.ExecStart").status is Status.REFUSED
    assert not any("demo" in value for value in values(made, "BindReadOnlyPaths"))


def test_commands_of_a_list_have_no_order_and_are_refused() -> None:
    commands = [
        m.Override(
            f"overrides.linux.systemd.ExecStartPre[{value}]", m.OS.LINUX, "systemd", "ExecStartPre", value
        )
        for value in ("/usr/bin/mkdir /run/q", "/usr/bin/chown x /run/q")
    ]
    made = by_systemd(overrides=tuple(commands))
    assert {verdict(made, one.id).status for one in commands} == {Status.REFUSED}
    assert values(made, "ExecStartPre") == []
    assert verdict(by_systemd(overrides=(commands[0],)), commands[0].id).status is Status.ENFORCED


@pytest.mark.parametrize(
    "service",
    [
        {"ExecStart": ["/usr/bin/true ; +/usr/bin/id"]},
        {"ExecStart": ['"+/usr/bin/id"']},
        {"ExecStart": ["\\x2b/usr/bin/id"]},
        {"ExecStart": ["/usr/bin/true"], "ExecStartPre": ["-+id -u"]},
        {"ExecStart": ["/usr/bin/true"], "ExecStopPost": ["+id"], "ExecSearchPath": ["/opt:/usr/bin"]},
        {"ExecStart": ["/usr/bin/true"], "ExecStartPre": ["/usr/bin/id"], "PermissionsStartOnly": ["true"]},
    ],
)
def test_each_way_out_of_the_sandbox_in_a_vendors_unit_is_seen(service: dict[str, list[str]]) -> None:
    made = by_systemd(WRITE, PRIVILEGES, on=host(service=service))
    for clause in (WRITE, PRIVILEGES):
        assert verdict(made, clause.id).status is Status.PARTIAL
        assert "/usr/bin/id runs" in verdict(made, clause.id).detail


@pytest.mark.parametrize(
    "clause",
    [
        WRITE,
        PRIVILEGES,
        BUS,
        SOCKETS,
        m.ReadClosure("c"),
        m.ExecuteClosure("c"),
        m.SpawnClosure("c"),
        m.Deny("c", path=path("/srv/x")),
        m.DeviceClosure("c"),
        m.ConnectClosure("c"),
        m.ListenClosure("c"),
        m.Families("c", names=("unix",)),
        m.Syscalls("c", groups=("basic",)),
        m.SharedMemory("c", private=True),
        m.WritableAndExecutable("c", allow=False),
        m.CoreDumps("c", allow=False),
        m.MaxOpenFiles("c", count=9),
        m.MaxFileSize("c", bytes=1 << 20),
        m.MaxProcesses("c", count=5),
        m.MemoryLimit("c", bytes=1 << 20),
        m.CpuLimit("c", percent=50),
        m.CpuWeight("c", weight=50),
    ],
    ids=lambda clause: type(clause).__name__,
)
def test_what_runs_outside_of_the_sandbox_lowers_every_clause_that_it_escapes(clause: m.Clause) -> None:
    service = {"ExecStart": ["/usr/bin/demo"], "ExecStartPre": ["+/usr/bin/helper"]}
    found = verdict(compile_bundle(manifest(clause), host(service=service), TODAY), clause.id)
    assert found.status is Status.PARTIAL
    assert "/usr/bin/helper runs " in found.detail


def test_sockets_that_are_handed_in_are_neither_counted_nor_of_a_family() -> None:
    clauses = (m.Listen("l", port=m.Port("tcp", 80, 80)), m.MaxConnections("max", count=9))
    families = m.Families("network.families", names=("ipv4",))
    for sockets, status in (((), Status.ENFORCED), (("demo.socket",), Status.PARTIAL)):
        on = host()
        on.data["unit"]["triggered_by"] = list(sockets)
        made = compile_bundle(manifest(m.ListenClosure("network.listen"), *clauses, families), on, TODAY)
        said = {one.clause: one.status for one in made.verdicts}
        assert said["max"] is said[families.id] is status


def test_specifiers_of_accounts_are_expanded() -> None:
    on = host(groups={"docker": ["alice"]})
    on.data["unit"].update(
        name="demo@alice.service", service={"User": ["%i"], "ExecStart": ["/usr/bin/demo"]}
    )
    policy = replace(manifest(PRIVILEGES), workloads=(m.Workload(m.OS.LINUX, "demo@.service"),))
    found = verdict(compile_bundle(policy, on, TODAY), PRIVILEGES.id)
    assert found.status is Status.PARTIAL
    assert "in the group 'docker'" in found.detail
    on.data["unit"]["service"]["Group"] = ["%H"]
    with pytest.raises(BackendError, match="sets Group=%H, and what '%H' stands for"):
        compile_bundle(policy, on, TODAY)


@pytest.mark.parametrize(
    ("service", "static", "status"),
    [
        ({}, False, Status.ENFORCED),
        ({}, True, Status.PARTIAL),  # an account that is named like the unit is used as it is
        ({"User": ["www-data"]}, False, Status.PARTIAL),  # another unit may name it, too
    ],
)
def test_an_account_of_systemds_own_is_nobody_elses(
    service: dict[str, list[str]], static: bool, status: Status
) -> None:
    on = host(service={"DynamicUser": ["yes"], "ExecStart": ["/usr/bin/demo"], **service})
    on.data["unit"]["static_account"] = static
    assert verdict(by_systemd(WRITE, on=on), WRITE.id).status is status


@pytest.mark.parametrize(
    ("unit", "status"),
    [
        ({}, Status.ENFORCED),
        ({"DefaultDependencies": ["yes"]}, Status.ENFORCED),
        ({"DefaultDependencies": ["no"]}, Status.PARTIAL),
        ({"DefaultDependencies": ["no"], "After": ["local-fs.target dbus.socket"]}, Status.ENFORCED),
    ],
)
def test_what_starts_before_the_bus_may_find_it_open(unit: dict[str, list[str]], status: Status) -> None:
    on = host()
    on.data["unit"]["unit"] = unit
    assert verdict(compile_bundle(manifest(BUS), on, TODAY), BUS.id).status is status


@pytest.mark.parametrize(
    ("service", "attached", "stays"),
    [
        ({"AppArmorProfile": ["vendor"]}, "", "AppArmorProfile=vendor"),
        ({}, "mysqld", "the profile 'mysqld'"),
        ({"AppArmorProfile": ["unconfined"]}, "", ""),
        ({}, "", ""),
    ],
)
def test_audit_mode_takes_no_vendors_profile_away(
    service: dict[str, list[str]], attached: str, stays: str
) -> None:
    on = host(service=service)
    on.data["unit"]["profile"] = attached
    for mode in m.Mode:
        made = compile_bundle(manifest(m.ReadClosure("filesystem.read"), mode=mode), on, TODAY)
        ours = any(item.kind == "apparmor" for item in made.artifacts)
        dropin = next(item for item in made.artifacts if item.path.endswith("zz-bulkhead.conf"))
        assert ours is (b"\nAppArmorProfile=" in dropin.content) is (mode is m.Mode.ENFORCE or not stays)
        assert stays in verdict(made, "filesystem.read").detail


def test_an_override_of_a_directory_adds_to_the_vendors() -> None:
    clauses = (WRITE, m.Write("w", path=path("/var/lib/bar")))
    on = host(service={"StateDirectory": ["foo"], "ConfigurationDirectory": ["demo"]})
    said = verdict(by_systemd(*clauses, on=on, overrides=overrides(("StateDirectory", "bar"))), WRITE.id)
    assert said.status is Status.PARTIAL
    assert "/var/lib/foo is writable" in said.detail
    assert "/etc/demo is writable" in said.detail


@pytest.mark.parametrize(
    ("clause", "privilege"),
    [
        (WRITE, "administer_system"),
        (WRITE, "configure_network"),
        (WRITE, "trace_processes"),
        (PRIVILEGES, "trace_processes"),
        (m.MemoryLimit("l", bytes=1024), "administer_system"),
        (m.CpuLimit("l", percent=5), "administer_system"),
        (m.MaxProcesses("l", count=5), "administer_system"),
        (m.MaxOpenFiles("l", count=5), "raise_limits"),
        (m.CoreDumps("l", allow=False), "raise_limits"),
    ],
)
def test_privileges_that_undo_a_clause_lower_its_verdict(clause: m.Clause, privilege: str) -> None:
    on = host(service={"PrivateUsers": ["yes"]})  # else it is said that others lend their files
    assert verdict(by_systemd(clause, on=on), clause.id).status is Status.ENFORCED
    said = verdict(by_systemd(clause, m.Privilege("p", name=privilege), on=on), clause.id)
    assert said.status is Status.PARTIAL
    assert privilege in said.detail


def test_reading_a_folder_opens_no_way_to_act_as_root() -> None:
    made = by_systemd(SOCKETS, BUS, m.Read("r", path=path("/run")))
    assert {"-/run/dbus", "-/run/docker.sock"} <= set(values(made, "InaccessiblePaths"))
    assert verdict(made, BUS.id).status is Status.ENFORCED
    for text in ("/run/dbus", "/run/dbus/system_bus_socket", "/run/docker.sock", "/run/containerd"):
        assert verdict(by_systemd(SOCKETS, BUS, m.Read("r", path=path(text))), "r").status is Status.REFUSED


def test_an_open_bus_is_said() -> None:
    assert verdict(by_systemd(BUS, m.Write("w", path=path("/run"))), BUS.id).status is Status.PARTIAL
    on = host(service={"RuntimeDirectory": ["dbus"]})
    assert verdict(by_systemd(BUS, on=on), BUS.id).status is Status.PARTIAL


def test_a_variable_in_a_path_is_none_in_the_line_that_runs_as_root() -> None:
    made = by_systemd(m.User("u", name="demo"), m.Write("w", path=path("/run/${E}.pid")))
    assert values(made, "ExecCondition") == [
        '+/usr/bin/touch -- "/run/$${E}.pid"',
        '+/usr/bin/chown demo -- "/run/$${E}.pid"',
    ]


def test_sockets_that_are_handed_in_can_connect() -> None:
    data = host().data
    on = features.from_data({**data, "unit": {**data["unit"], "triggered_by": ["demo.socket"]}})
    said = verdict(by_nftables(m.ConnectClosure("network.connect"), on=on), "network.connect")
    assert said.status is Status.PARTIAL
    assert "demo.socket" in said.detail
    assert UNIT not in said.detail


DEVICES = m.DeviceClosure("devices")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "/proc/sys",
            "'/proc/sys' is among the kernel's own files, which ProtectKernelTunables= closes (w): grant",
        ),
        ("/proc", "which ProtectKernelTunables= closes"),
        ("/sys", "which ProtectKernelTunables= closes"),
        ("/sys/fs/cgroup/x", "which ProtectControlGroups= closes (w): grant administer_system"),
        ("/lib/x", "'/usr/lib/x' is code that every program maps (w)"),
        ("/usr/lib", "'/usr/lib' is code that every program maps (w)"),
        ("/bin", "'/bin' is '/usr/bin' on this host, and x runs programs from it (w)"),
        ("/sbin/../bin", "'/bin' is '/usr/bin' on this host"),
    ],
)
def test_a_grant_that_this_host_cannot_give_is_refused(text: str, said: str) -> None:
    made = by_systemd(WRITE, m.Write("w", path=path(text)), m.Execute("x", path=path("/usr/bin/x")))
    found = verdict(made, "w")
    assert (found.status, said in found.detail) == (Status.REFUSED, True), found.detail
    assert values(made, "ReadWritePaths") == []
    assert verdict(made, "x").status is Status.ENFORCED


def test_a_privilege_opens_the_kernels_files() -> None:
    grants = (m.Write("w", path=path("/proc/sys")), m.Privilege("p", name="configure_network"))
    made = by_systemd(WRITE, *grants)
    assert verdict(made, "w").status is Status.ENFORCED
    assert values(made, "ReadWritePaths") == ["-/proc/sys"]


def test_on_a_host_that_is_not_merged_bin_is_itself() -> None:
    clauses = (m.Write("w", path=path("/bin")), m.Execute("x", path=path("/usr/bin/x")))
    made = by_systemd(WRITE, *clauses, on=host(merged_usr=False))
    assert verdict(made, "w").status is Status.ENFORCED
    made = by_systemd(WRITE, m.Write("w", path=path("/lib/x")), on=host(merged_usr=False))
    assert verdict(made, "w").status is Status.REFUSED


def test_libraries_stay_closed_in_a_wider_grant_and_that_is_said() -> None:
    found = verdict(by_systemd(WRITE, m.Write("w", path=path("/usr"))), "w")
    assert found.status is Status.PARTIAL
    assert "/usr/lib, /usr/lib32, /usr/lib64, /usr/libx32 in it stay read-only" in found.detail


def test_a_device_of_the_hosts_own_leaves_the_folder_of_devices_closed() -> None:
    made = by_systemd(WRITE, DEVICES, m.Device("d", path=path("/dev/fuse")))
    assert values(made, "PrivateDevices") == ["no"]
    assert values(made, "ReadOnlyPaths") == ["-/run", "/dev"]
    assert "/dev" in values(made, "NoExecPaths")
    assert verdict(made, DEVICES.id).status is Status.ENFORCED
    assert values(by_systemd(WRITE, DEVICES), "ReadOnlyPaths") == ["-/run"]


def test_nodes_cannot_be_made_where_devices_are_private() -> None:
    wish = m.Privilege("p", name="make_device")
    made = by_systemd(PRIVILEGES, DEVICES, wish)
    assert verdict(made, "p").status is Status.REFUSED
    assert "PrivateDevices= takes CAP_MKNOD away" in verdict(made, "p").detail
    assert values(made, "CapabilityBoundingSet") == []
    made = by_systemd(PRIVILEGES, DEVICES, wish, m.Device("d", path=path("/dev/fuse")))
    assert verdict(made, "p").status is Status.PARTIAL
    assert values(made, "CapabilityBoundingSet") == ["CAP_MKNOD"]


def test_an_override_of_the_pid_file_opens_no_folder() -> None:
    clause = m.Write("w", path=path("/run/own"))
    by_hand = overrides(("PIDFile", "/run/own"))
    made = by_systemd(WRITE, clause, overrides=by_hand)
    assert values(made, "ReadWritePaths") == ["-/run/own"]
    made = by_systemd(WRITE, clause, on=host(service={"PIDFile": ["own"]}))
    assert values(made, "ReadWritePaths") == ["-/run"]


def test_groups_set_by_hand_are_weighed() -> None:
    made = by_systemd(
        PRIVILEGES, m.User("u", name="demo"), overrides=overrides(("SupplementaryGroups", "adm shadow"))
    )
    assert made.holes == (
        (PRIVILEGES.id, "it is in the group 'adm', which reads the logs of the system"),
        (PRIVILEGES.id, "it is in the group 'shadow', which reads password hashes"),
    )
    assert "-/etc/shadow" in values(made, "InaccessiblePaths")


def test_a_store_of_descriptors_set_by_hand_is_said() -> None:
    made = by_systemd(WRITE, overrides=overrides(("FileDescriptorStoreMax", "5")))
    assert [clause for clause, why in made.holes if "before the sandbox" in why] == [WRITE.id]


def test_what_systemd_makes_none_of_opens_nothing() -> None:
    on = host(service={"StateDirectory": ["/opt/x ../y a/../../z kept"], "PrivateUsers": ["yes"]})
    said = verdict(by_systemd(WRITE, on=on), WRITE.id)
    assert said.detail == "/var/lib/kept is writable, because the unit's own StateDirectory= makes it"


@pytest.mark.parametrize(
    ("service", "status"),
    [
        ({}, Status.PARTIAL),
        ({"DynamicUser": ["yes"]}, Status.ENFORCED),
        ({"PrivateUsers": ["yes"]}, Status.ENFORCED),
    ],
)
def test_files_of_a_process_outside_with_the_same_account_are_said(
    service: dict[str, list[str]], status: Status
) -> None:
    said = verdict(by_systemd(WRITE, on=host(service=service)), WRITE.id)
    assert said.status is status and ("/proc/PID/root" in said.detail) is (status is Status.PARTIAL)
