# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in as a whole: what each clause becomes, what a host cannot carry, and that no value adds a line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linux_support import by_nftables, by_systemd, content, directives, host, path, values, verdict, words

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

CLOSED = (
    m.PrivilegeClosure("identity.privileges"),
    m.ReadClosure("filesystem.read"),
    m.WriteClosure("filesystem.write"),
    m.ExecuteClosure("filesystem.execute"),
    m.UnixSocketClosure("ipc.unix"),
    m.BusClosure("ipc.dbus"),
    m.DeviceClosure("devices"),
)


def override(key, value):
    return {"overrides": (m.Override(f"overrides.linux.systemd.{key}", m.OS.LINUX, "systemd", key, value),)}


def test_everything_not_granted_is_closed():
    made = by_systemd(*CLOSED)
    want = {
        "NoNewPrivileges": ["yes"],
        "CapabilityBoundingSet": [],
        "AmbientCapabilities": [],
        "ProtectSystem": ["strict"],
        "ProtectHome": ["yes"],
        "PrivateTmp": ["yes"],
        "PrivateDevices": ["yes"],
        "ReadWritePaths": [],
        "RestrictNamespaces": ["yes"],
    }
    assert {key: values(made, key) for key in want} == want
    assert "CapabilityBoundingSet=\n" in content(made, "zz-bulkhead.conf")
    assert {"/", "-/tmp", "-/var/tmp"} <= set(values(made, "NoExecPaths"))
    assert "-/run/dbus" in values(made, "InaccessiblePaths")


def test_the_bytes_are_the_same_every_time_and_carry_no_date():
    assert by_systemd(*CLOSED) == by_systemd(*reversed(CLOSED))
    assert content(by_systemd(), "zz-bulkhead.conf").startswith("# Managed by Bulkhead: policy demo\n")


def test_a_writable_path_is_never_executable():
    on = host(service={"PrivateUsers": ["yes"]})
    made = by_systemd(
        *CLOSED, m.Write("w", path=path("/var/lib/app")), m.Write("x", path=path("/data")), on=on
    )
    assert "-/var/lib/app" in values(made, "BindPaths")
    assert "-/data" in values(made, "ReadWritePaths")
    assert {"-/var/lib/app", "-/data"} <= set(values(made, "NoExecPaths"))
    assert verdict(made, "filesystem.write").status is Status.ENFORCED


def test_programs_are_bound_read_only_because_exec_paths_would_be_writable():
    made = by_systemd(*CLOSED, m.Execute("x", path=path("/usr/bin/demo")))
    assert "-/usr/bin/demo" in values(made, "BindReadOnlyPaths")
    assert values(made, "ExecPaths") == []
    assert "-/usr/bin/demo" not in values(made, "NoExecPaths")


def test_the_units_own_programs_and_interpreters_can_run_and_are_named():
    facts = host(service={"ExecStart": ["-@/usr/bin/wrapper wrapper"], "ExecStop": ["/sbin/stop"]})
    facts.data["unit"]["interpreters"] = {"/usr/bin/wrapper": "/usr/bin/perl"}
    made = by_systemd(*CLOSED, on=facts)
    assert {"-/usr/bin/wrapper", "-/usr/bin/perl", "-/usr/sbin/stop"} <= set(
        values(made, "BindReadOnlyPaths")
    )
    assert "/usr/bin/wrapper, /usr/bin/perl, /usr/sbin/stop" in verdict(made, "filesystem.execute").detail


def test_a_prefix_that_leaves_the_sandbox_is_said():
    made = by_systemd(*CLOSED, on=host(service={"ExecStartPre": ["+/usr/bin/prepare"]}))
    for clause in ("filesystem.write", "identity.privileges"):
        assert verdict(made, clause).status is Status.PARTIAL
        assert "/usr/bin/prepare" in verdict(made, clause).detail


def test_a_pid_file_opens_its_directory_and_says_so_but_reveals_no_socket():
    made = by_systemd(*CLOSED, m.Write("w", path=path("/run/demo.pid")))
    assert values(made, "ReadWritePaths") == ["-/run"]
    assert verdict(made, "filesystem.write").status is Status.PARTIAL
    assert "/run is writable as a whole" in verdict(made, "filesystem.write").detail
    assert {"-/run/docker.sock", "-/run/dbus"} <= set(values(made, "InaccessiblePaths"))


def test_directories_that_systemd_makes_count_as_writable():
    made = by_systemd(*CLOSED, on=host(service={"StateDirectory": ["demo"], "RuntimeDirectory": ["demo"]}))
    assert "-/var/lib/demo" in values(made, "BindPaths")
    detail = verdict(made, "filesystem.write").detail
    assert "/var/lib/demo is writable, because the unit's own StateDirectory= makes it" in detail
    made = by_systemd(
        *CLOSED,
        m.Write("w", path=path("/var/lib/demo")),
        on=host(service={"StateDirectory": ["demo"], "PrivateUsers": ["yes"]}),
    )
    assert verdict(made, "filesystem.write").status is Status.ENFORCED


def test_the_account_is_set_unless_the_unit_switches_by_itself():
    user = m.User("identity.user", name="www-data")
    made = by_systemd(*CLOSED, user, m.Privilege("p", name="bind_low_port"))
    assert (values(made, "User"), values(made, "AmbientCapabilities")) == (
        ["www-data"],
        ["CAP_NET_BIND_SERVICE"],
    )
    made = by_systemd(*CLOSED, user, m.Privilege("p", name="switch_user"))
    assert (values(made, "User"), values(made, "AmbientCapabilities")) == ([], [])
    assert verdict(made, "identity.user").status is Status.PARTIAL
    assert "becomes 'www-data' by itself" in verdict(made, "identity.user").detail


def test_capabilities_in_the_running_process_are_read_back_as_bits():
    made = by_systemd(*CLOSED, m.Privilege("p", name="bind_low_port"))
    (bits,) = [item.value for item in made.readbacks if item.key == "CapBnd"]
    assert int(bits, 16) == 1 << 10


@pytest.mark.parametrize(
    ("clause", "controller", "key"),
    [
        (m.MaxProcesses("c", count=5), "pids", "TasksMax"),
        (m.MemoryLimit("c", bytes=1 << 20), "memory", "MemoryMax"),
        (m.CpuLimit("c", percent=50), "cpu", "CPUQuota"),
        (m.CpuWeight("c", weight=50), "cpu", "CPUWeight"),
        (m.IoWeight("c", weight=50), "io", "IOWeight"),
    ],
)
def test_a_limit_without_its_controller_is_refused(clause, controller, key):
    made = by_systemd(clause, on=host(cgroup={"mode": "hybrid", "controllers": []}))
    assert verdict(made, "c").status is Status.REFUSED
    assert (
        f"no '{controller}' controller of cgroup v2 or v1: {key}= would do nothing"
        in verdict(made, "c").detail
    )
    assert values(made, key) == []
    assert values(by_systemd(clause), key) != []


@pytest.mark.parametrize(
    ("clause", "file", "value"),
    [
        (m.MaxProcesses("c", count=5), "pids.max", "5"),
        (m.MemoryLimit("c", bytes=1 << 20), "memory.max", str(1 << 20)),
    ],
)
def test_a_limit_is_read_back_from_the_kernel(clause, file, value):
    (back,) = [item for item in by_systemd(clause).readbacks if item.kind == "cgroup_file"]
    assert (back.key, back.value, back.relation) == (file, value, "at_most")


def test_system_calls_allow_first_then_deny():
    made = by_systemd(m.Syscalls("s", groups=("network_client",)))
    lines = values(made, "SystemCallFilter")
    assert lines[0] == "@system-service"
    assert lines[1].startswith("~@privileged @setuid setfsgid")
    for name in ("io_uring_setup", "@resources", "@keyring", "listen"):
        assert name in lines[1].split()
    assert len(lines) == 2
    made = by_systemd(m.Syscalls("s", groups=("network_server", "switch_user", "async_io")))
    assert "@privileged" not in values(made, "SystemCallFilter")[1]
    assert "listen" not in values(made, "SystemCallFilter")[1].split()


def test_a_watchdog_needs_a_unit_that_reports():
    made = by_systemd(m.Watchdog("w", seconds=30), on=host(service={"Type": ["simple"]}))
    assert (
        "Type=simple and never reports to systemd: a watchdog would kill it (w)" in verdict(made, "w").detail
    )
    made = by_systemd(m.Watchdog("w", seconds=90), on=host(service={"Type": ["notify"]}))
    assert values(made, "WatchdogSec") == ["1min 30s"]


def test_audit_renders_nothing_that_denies():
    everything = (*CLOSED, m.Syscalls("s"), m.MemoryLimit("c", bytes=1), m.User("identity.user", name="x"))
    made = by_systemd(*everything, m.ConnectClosure("network.connect"), mode=m.Mode.AUDIT)
    keys = {key for _, key, _ in directives(content(made, "zz-bulkhead.conf"))}
    assert keys == {"Slice", "Wants", "After", "SystemCallLog", "AppArmorProfile"}
    assert {item.status for item in made.verdicts} == {Status.PARTIAL}
    assert len(made.verdicts) == len(everything) + 1


def test_audit_leaves_the_call_log_out_where_it_would_set_no_new_privileges():
    made = by_systemd(m.Syscalls("s"), mode=m.Mode.AUDIT, on=host(service={"User": ["demo"]}))
    assert values(made, "SystemCallLog") == []
    assert "would set NoNewPrivileges" in verdict(made, "s").detail


def test_bus_names_are_refused_because_the_whole_bus_would_be_open():
    made = by_systemd(m.BusClosure("ipc.dbus"), m.BusName("b", name="org.example"))
    assert verdict(made, "b").status is Status.REFUSED
    assert "cannot filter the bus by name ('org.example')" in verdict(made, "b").detail


def test_no_internet_family_means_no_network():
    made = by_systemd(
        m.Families("f", names=("unix",)),
        m.ConnectClosure("network.connect"),
        m.ListenClosure("network.listen"),
    )
    assert values(made, "PrivateNetwork") == ["yes"]
    assert verdict(made, "network.connect").status is Status.ENFORCED
    assert values(made, "Slice") == []


def test_without_unix_a_reporting_unit_is_refused():
    made = by_systemd(m.Families("f", names=("ipv4",)), on=host(service={"Type": ["notify"]}))
    assert "it would never count as started. Add 'unix'." in verdict(made, "f").detail


def test_socket_bind_only_where_the_build_does_something():
    clauses = (m.ListenClosure("network.listen"), m.Listen("l", port=m.Port("tcp", 80, 80)))
    assert values(by_systemd(*clauses), "SocketBindDeny") == []
    made = by_systemd(*clauses, on=host("debian13"))
    assert (values(made, "SocketBindDeny"), values(made, "SocketBindAllow")) == (["any"], ["tcp:80"])
    assert values(by_systemd(*clauses, on=host("debian13", container=True)), "SocketBindDeny") == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("ProtectSystem", "no", "ProtectSystem= belongs to the clause filesystem.write"),
        ("Nonsense", "1", "'Nonsense' is no directive that a policy may set by hand"),
        ("ExecStart", "+/bin/sh", "would run outside of the sandbox"),
        ("ExecStart", "sh", "names no program by its full path"),
        ("Nice", "5\nUser=root", "holds the control character"),
        ("Nice", "5\\", "would run into the next line"),
        ("StateDirectory", "a\u00a0b", "holds a space of a kind that systemd takes for a letter"),
        ("StateDirectory", ":demo", "':demo' names no directories below /var/lib"),
        ("StateDirectory", "demo:link", "write names without '..' and ':'"),
        ("LogsDirectory", "demo demo/../../etc", "names no directories below /var/log"),
        ("RuntimeDirectory", "/", "names no directories below /run"),
        ("Nice", "%z", "holds a specifier that is not allowed here"),
    ],
)
def test_overrides_that_cannot_stand_are_refused(key, value, said):
    made = by_systemd(**override(key, value))
    found = verdict(made, f"overrides.linux.systemd.{key}")
    assert found.status is Status.REFUSED
    assert said in found.detail
    assert not [line for line in directives(content(made, "zz-bulkhead.conf")) if line[1] == "User"]
    assert values(made, key) == values(by_systemd(), key)


@pytest.mark.parametrize(
    ("key", "value", "trace"),
    [("StateDirectory", "/tmp/app", "/var/lib/tmp"), ("ExecStart", "+/usr/bin/other", "/usr/bin/other")],
)
def test_a_refused_override_opens_nothing(key, value, trace):
    made = by_systemd(*CLOSED, **override(key, value))
    assert verdict(made, f"overrides.linux.systemd.{key}").status is Status.REFUSED
    assert trace not in content(made, "zz-bulkhead.conf")
    assert content(made, "zz-bulkhead.conf") == content(by_systemd(*CLOSED), "zz-bulkhead.conf")


def test_an_override_is_written_counted_and_changes_what_the_unit_is():
    made = by_systemd(*CLOSED, **override("ExecStart", "/usr/bin/other --name %i"))
    assert values(made, "ExecStart") == ["/usr/bin/other --name %i"]
    assert "-/usr/bin/other" in values(made, "BindReadOnlyPaths")
    assert verdict(made, "overrides.linux.systemd.ExecStart").status is Status.ENFORCED


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"load_state": "not-found"}, "Unit demo.service is not on this host"),
        ({"load_state": "masked"}, "Unit demo.service is 'masked' on this host"),
        ({"name": "other.service"}, "are about the unit 'other.service', not about demo.service"),
    ],
)
def test_a_unit_that_is_not_there_refuses_the_policy(facts, said):
    on = host()
    on.data["unit"].update(facts)
    with pytest.raises(BackendError) as caught:
        by_systemd(on=on)
    assert said in str(caught.value)


hostile = st.text(st.one_of(st.sampled_from("\"'\\%$ \t\n;#=:-+!/a["), st.characters()), max_size=16)


@pytest.mark.parametrize(
    ("values_", "said"),
    [
        ({"rotate_after": 60.0}, "rotate_after: for people to read"),
        ({"rotate_with": "p.yml"}, "rotate_with: for people to read"),
        ({"rotate_after": 60.0, "rotate_with": "p.yml"}, "rotate_after and rotate_with: for people to read"),
        ({}, ""),
    ],
)
def test_nobody_is_told_that_a_secret_is_rotated(values_, said):
    found = verdict(by_systemd(*CLOSED, m.Secret("s", name="key", source=path("/etc/key"), **values_)), "s")
    assert found.status is (Status.PARTIAL if said else Status.ENFORCED)
    assert found.detail.startswith(said) and found.detail.endswith("read it at $CREDENTIALS_DIRECTORY/key")


@given(hostile, hostile)
@settings(deadline=None, max_examples=200)
def test_no_value_adds_a_directive(one, two):
    clauses = (
        m.Write("w", path=path("/srv/" + one)),
        m.Read("r", path=path("/opt/" + two)),
        m.Execute("x", path=path("/usr/bin/" + one)),
        m.Deny("d", path=path("/data/" + two)),
        m.User("u", name=one),
        m.EnvironmentSet("e", name="NAME", value=two),
        m.EnvironmentClosure("a", names=(one,)),
        m.Secret("s", name=one, source=path("/etc/" + two)),
        m.Device("v", path=path("/dev/" + one)),
        m.UnixSocket("k", path=path("/run/x/" + two)),
    )
    made = by_systemd(*CLOSED, *clauses, **override("Nice", one))
    calm = by_systemd(*CLOSED, *(_calm(clause) for clause in clauses), **override("Nice", "5"))
    got, want = (directives(content(item, "zz-bulkhead.conf")) for item in (made, calm))
    assert {(section, key) for section, key, _ in got} <= {(section, key) for section, key, _ in want} | {
        ("Service", key) for key in ("TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths", "ReadOnlyPaths")
    }
    for _, key, value in got:
        if key.endswith("Paths"):
            assert len(words(value)) <= 1, (key, value)
    assert [word.replace("%%", "%") for value in values(made, "Environment") for word in words(value)] in (
        [f"NAME={two}"],
        [],
    )
    refused = {item.clause for item in made.verdicts if item.status is Status.REFUSED}
    assert refused <= {clause.id for clause in clauses} | {"overrides.linux.systemd.Nice", "devices"}


def _calm(clause):
    calm = {"path": path("/srv/a"), "name": "a", "value": "a", "names": ("A",), "source": path("/etc/a")}
    if isinstance(clause, m.Device):
        calm["path"] = path("/dev/a")
    fields = {key: calm.get(key, value) for key, value in vars(clause).items()}
    return type(clause)(**fields)


def test_sockets_that_systemd_keeps_from_before_are_not_handed_in():
    closed = (m.ConnectClosure("network.connect"), m.ListenClosure("network.listen"))
    keeps = host(service={"FileDescriptorStoreMax": ["8"]})
    assert values(by_systemd(*closed, on=keeps), "FileDescriptorStoreMax") == ["0"]
    assert values(by_systemd(*closed), "FileDescriptorStoreMax") == []
    assert values(by_systemd(*closed, on=keeps, mode=m.Mode.AUDIT), "FileDescriptorStoreMax") == []


def test_bind_is_refused_where_the_build_can_and_the_rest_is_said():
    closed = (m.ConnectClosure("network.connect"), m.ListenClosure("network.listen"))
    listen = m.Listen("l", port=m.Port("tcp", 80, 80))
    can = host("debian13")
    made = by_systemd(*closed, listen, on=can)
    assert (values(made, "SocketBindDeny"), values(made, "SocketBindAllow")) == (["any"], ["tcp:80"])
    assert verdict(made, "network.listen").status is Status.PARTIAL
    said = verdict(by_nftables(*closed, listen, on=can), "network.listen").detail
    assert said.startswith("bind() and listen() of another port succeed after the next daemon-reload")
    assert "forgets SocketBindDeny with a daemon-reload" in verdict(made, "network.listen").detail
    assert "bind() and listen() of another port succeed" in (
        verdict(by_nftables(*closed, listen), "network.listen").detail
    )


def test_ipv6_alone_is_partial_where_nothing_stops_mapped_addresses():
    families = m.Families("f", names=("ipv6", "unix"))
    closed = m.ConnectClosure("network.connect")
    assert verdict(by_systemd(families, closed), "f").status is Status.ENFORCED
    unfiltered = by_systemd(families, closed, on=host(nft={"present": False}))
    assert verdict(unfiltered, "f").status is Status.PARTIAL
    assert "mapped addresses" in verdict(unfiltered, "f").detail
