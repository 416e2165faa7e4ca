# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every directive that systemd knows is in one table, and what the table says of it is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from linux_support import UNIT, by_systemd, content, directives, host, manifest, path, values

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Compilation
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_host import Host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_vendor import (
    KNOWN_UP_TO,
    REFUSED,
    REFUSED_WHERE_TRUE,
    TABLE,
    Care,
    care,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.systemd_text import RESET
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.systemd_vendor import RESETS
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

LISTS = sorted(Path(__file__).with_name("directives").glob("*.txt"))
CLOSURES = (
    m.PrivilegeClosure("identity.privileges"),
    m.ReadClosure("filesystem.read"),
    m.WriteClosure("filesystem.write"),
    m.ExecuteClosure("filesystem.execute"),
    m.SpawnClosure("processes.spawn"),
    m.UnixSocketClosure("ipc.unix"),
    m.BusClosure("ipc.dbus"),
    m.DeviceClosure("devices"),
    m.EnvironmentClosure("environment.allow"),
)
SETTINGS = (
    m.MaxProcesses("processes.max", count=5),
    m.MemoryLimit("memory.limit", bytes=1 << 20),
    m.CpuLimit("cpu.limit", percent=50),
    m.CpuWeight("cpu.weight", weight=50),
    m.IoWeight("io.weight", weight=50),
    m.MaxOpenFiles("files.max_open", count=9),
    m.MaxFileSize("files.max_size", bytes=1 << 20),
    m.CoreDumps("memory.core_dumps", allow=False),
    m.WritableAndExecutable("memory.writable_and_executable", allow=False),
    m.SharedMemory("ipc.shared_memory", private=True),
    m.StartTimeout("resilience.start_timeout", seconds=5),
    m.StopTimeout("resilience.stop_timeout", seconds=5),
    m.Restart("resilience.restart", when="never"),
    m.RestartLimit("resilience.restart_limit", count=3, seconds=60),
    m.Watchdog("resilience.watchdog", seconds=30),
    m.EnvironmentSet("environment.set[LANG]", name="LANG", value="C"),
    m.Secret("secrets[key]", name="key", source=path("/etc/key")),
)
# Directives that only one of several ways to carry a network clause writes: how to make it write them.
NETWORK = {
    "PrivateNetwork": (m.Families("f", names=("unix",)), m.ConnectClosure("network.connect")),
    "Slice": (m.ConnectClosure("network.connect"),),
    "IPAddressDeny": (m.ConnectClosure("network.connect"),),
    "IPAddressAllow": (m.ConnectClosure("network.connect"),),
    "SocketBindDeny": (m.ListenClosure("network.listen"), m.Listen("l", port=m.Port("tcp", 80, 80))),
    "SocketBindAllow": (m.ListenClosure("network.listen"), m.Listen("l", port=m.Port("tcp", 80, 80))),
    "ProcSubset": CLOSURES,
}
OLD_NAMES = {
    "ReadWriteDirectories": "ReadWritePaths",
    "ReadOnlyDirectories": "ReadOnlyPaths",
    "InaccessibleDirectories": "InaccessiblePaths",
    "TimeoutSec": "TimeoutStartSec",
    "StartLimitInterval": "StartLimitIntervalSec",
}
NOTIFY = {"Type": ["notify"]}


def listed(file: Path) -> set[tuple[str, str]]:
    lines = [line.split() for line in file.read_text().splitlines() if not line.startswith("#")]
    return {(section, key) for section, key in lines}


def in_table(*wanted: Care) -> list[str]:
    return [key for table in TABLE.values() for key, (done, _why) in table.items() if done in wanted]


def said(made: Compilation) -> str:
    """All that the compilation says about what holds: verdicts and holes."""
    return "\n".join(
        [*(f"{v.status} {v.detail}" for v in made.verdicts), *(why for _clause, why in made.holes)]
    )


@pytest.mark.parametrize("file", LISTS, ids=lambda file: file.stem)
def test_every_directive_of_a_recorded_systemd_is_in_the_table(file: Path) -> None:
    known = listed(file)
    assert len(known) > 300
    assert [item for item in sorted(known) if care(*item) is None] == []


def test_nothing_is_in_the_table_that_no_systemd_knows() -> None:
    known = {item for file in LISTS for item in listed(file)}
    own = {(section, key) for section, table in TABLE.items() for key in table}
    # DelegateNamespaces= begins with systemd 258.
    assert own - known == {("Service", "DelegateNamespaces")}


def test_each_row_gives_a_reason() -> None:
    for table in TABLE.values():
        for key, (_care, why) in table.items():
            assert len(why.split()) >= 3, key


@pytest.mark.parametrize("key", in_table(Care.OURS))
def test_what_is_ours_is_written_whatever_the_unit_says(key: str) -> None:
    name = OLD_NAMES.get(key, key)
    made = by_systemd(on=host(service={key: ["/"]}))
    lines = [
        value for _section, found, value in directives(content(made, "zz-bulkhead.conf")) if found == name
    ]
    assert lines
    # BindPaths= clears BindReadOnlyPaths= as well: they share one list.
    if name in RESET:
        assert lines[0] == ""
    assert values(made, name) == values(by_systemd(), name)


@pytest.mark.parametrize("key", in_table(Care.CLAUSE))
def test_what_belongs_to_a_clause_is_written_by_it(key: str) -> None:
    name = OLD_NAMES.get(key, key)
    clauses = NETWORK.get(key, (*CLOSURES, *SETTINGS))
    made = by_systemd(*clauses, on=host("debian13", service=NOTIFY))
    assert name in {found for _section, found, _value in directives(content(made, "zz-bulkhead.conf"))}


def test_the_table_of_resets_is_the_one_that_is_carried_out() -> None:
    assert sorted(in_table(Care.RESET)) == sorted(RESETS)


RESET_TO = {
    "KillMode": ("process", "control-group"),
    "SendSIGKILL": ("no", "yes"),
    "FinalKillSignal": ("SIGCONT", "SIGKILL"),
    "FileDescriptorStoreMax": ("512", "0"),
    "DisableControllers": ("memory", ""),
    "UnsetEnvironment": ("LANG", ""),
    "RestartForceExitStatus": ("0", ""),
    "RestartPreventExitStatus": ("1", ""),
    "CPUQuotaPeriodSec": ("1s", ""),
    "IODeviceWeight": ("/dev/vda 1000", ""),
    "TimeoutStopFailureMode": ("abort", "terminate"),
    "StartupMemoryMax": ("infinity", str(1 << 20)),
    "StartupMemorySwapMax": ("infinity", "0"),
    "StartupCPUWeight": ("1000", "50"),
    "StartupIOWeight": ("1000", "50"),
}


@pytest.mark.parametrize("key", RESETS)
def test_what_would_undo_a_verdict_is_put_back(key: str) -> None:
    bad, good = RESET_TO[key]
    made = by_systemd(*CLOSURES, *SETTINGS, on=host(service={**NOTIFY, key: [bad]}))
    assert f"\n{key}={good}\n" in content(made, "zz-bulkhead.conf")
    assert f"\n{key}=" not in content(
        by_systemd(*CLOSURES, *SETTINGS, on=host(service=NOTIFY)), "zz-bulkhead.conf"
    )


@pytest.mark.parametrize(
    ("key", "value"), [("KillMode", "mixed"), ("SendSIGKILL", "true"), ("FinalKillSignal", "9")]
)
def test_what_does_no_harm_stays(key: str, value: str) -> None:
    assert f"\n{key}=" not in content(by_systemd(on=host(service={key: [value]})), "zz-bulkhead.conf")


def test_what_was_put_back_is_read_back() -> None:
    made = by_systemd(*CLOSURES, on=host(service={"KillMode": ["none"]}))
    assert [item.value for item in made.readbacks if item.key == "KillMode"] == ["control-group"]


# A value of each that the verdicts have to say, and what they say then.
WEIGHED: dict[str, tuple[str, str]] = {
    **{
        key: ("+/usr/bin/prepare", "/usr/bin/prepare runs outside of the sandbox (prefix '+')")
        for key in in_table(Care.WEIGHED)
        if key.startswith("Exec") and key != "ExecSearchPath"
    },
    "StandardInput": (
        "file:/etc/shadow",
        "/etc/shadow is opened by systemd before the sandbox (StandardInput=)",
    ),
    "StandardOutput": (
        "append:/var/log/x",
        "/var/log/x is opened by systemd before the sandbox, to be written",
    ),
    "StandardError": (
        "truncate:/etc/passwd",
        "/etc/passwd is opened by systemd before the sandbox, to be written",
    ),
    "Group": ("shadow", "it is in the group 'shadow', which reads password hashes"),
    "SupplementaryGroups": ("users docker", "it is in the group 'docker', which acts as root"),
    "Environment": ("LANG=C", "what the unit itself sets by Environment= stays"),
    "EnvironmentFile": ("-/etc/default/x", "/etc/default/x may set it to something else"),
    "RuntimeDirectory": ("x", "/run/x is writable, because the unit's own RuntimeDirectory= makes it"),
    "StateDirectory": ("x", "/var/lib/x is writable"),
    "CacheDirectory": ("x", "/var/cache/x is writable"),
    "LogsDirectory": ("x", "/var/log/x is writable"),
    "ConfigurationDirectory": ("x", "/etc/x is writable"),
    "Sockets": ("x.socket", "sockets that x.socket opens are handed in"),
    "Type": ("dbus", "the unit has Type=dbus and does not start without the bus"),
    "BusName": ("org.example", "the unit has Type=dbus and does not start without the bus"),
}
TOGETHER = {
    "ExecSearchPath": ({"ExecSearchPath": ["/opt/x"], "ExecStart": ["demo"]}, "/opt/x/demo"),
    "PermissionsStartOnly": (
        {"PermissionsStartOnly": ["t"], "ExecStartPre": ["/bin/p"]},
        "/usr/bin/p runs outside",
    ),
    "DynamicUser": ({"DynamicUser": ["On"], "StateDirectory": ["x"]}, "/var/lib/private/x is writable"),
    "RuntimeDirectoryPreserve": (
        {"DynamicUser": ["yes"], "RuntimeDirectory": ["x"], "RuntimeDirectoryPreserve": ["restart"]},
        "/run/private/x is writable",
    ),
    "PIDFile": ({"PIDFile": ["own"]}, "/run is writable as a whole, because /run/own is made in it at start"),
    "User": ({"User": ["www-data"], "Group": ["disk"]}, "it is in the group 'disk'"),
}


def test_each_weighed_directive_has_a_case_here() -> None:
    assert sorted({*WEIGHED, *TOGETHER}) == sorted(in_table(Care.WEIGHED))


@pytest.mark.parametrize("key", in_table(Care.WEIGHED))
def test_what_is_weighed_is_said(key: str) -> None:
    own, want = TOGETHER.get(key) or ({key: [WEIGHED[key][0]]}, WEIGHED[key][1])
    clauses = [*CLOSURES, m.Write("w", path=path("/run/own"))]
    clauses += [m.EnvironmentSet("environment.set[LANG]", name="LANG", value="C")]
    if "sockets" in want:
        clauses += [m.Families("f", names=("unix",)), m.ConnectClosure("network.connect")]
    service = {"User": ["www-data"], **own} if "group" in want else own
    assert want not in said(by_systemd(*clauses, on=host(service={"ExecStart": ["/usr/bin/true"]})))
    assert want in said(by_systemd(*clauses, on=host(service=service)))


def test_a_log_file_that_the_policy_lets_it_write_is_no_hole() -> None:
    on = host(service={"StandardOutput": ["append:/var/log/demo/out"]})
    clauses = (*CLOSURES, m.Write("w", path=path("/var/log/demo")))
    assert "before the sandbox" not in said(by_systemd(*clauses, on=on))


@pytest.mark.parametrize("section", ["service", "unit"])
@pytest.mark.parametrize("key", REFUSED)
def test_a_unit_that_says_what_no_clause_reckons_with_is_refused(key: str, section: str) -> None:
    unit = dict(host().data["unit"], **{section: {key: ["/x"]}})
    with pytest.raises(BackendError, match=rf"sets {key}= \(.*\), which this version cannot confine"):
        by_systemd(on=host(unit=unit))
    by_systemd(on=host(unit=dict(host().data["unit"], **{section: {key: []}})))


@pytest.mark.parametrize("key", REFUSED_WHERE_TRUE)
def test_a_unit_that_nobody_may_restart_is_refused(key: str) -> None:
    unit = host().data["unit"]
    with pytest.raises(
        BackendError, match=rf"{key}= \(nobody may .* so no change can be made or taken back\)"
    ):
        by_systemd(on=host(unit=dict(unit, unit={key: ["yes"]})))
    by_systemd(on=host(unit=dict(unit, unit={key: ["no"]})))


def test_a_directive_of_a_later_systemd_is_refused_where_systemd_may_know_it() -> None:
    facts = host(service={"OpenEverything": ["yes"], "X-Own": ["yes"]}).data
    by_systemd(on=host(unit=facts["unit"]))  # systemd 252 ignores what it does not know
    later = dict(facts["systemd"], version=KNOWN_UP_TO + 1)
    with pytest.raises(
        BackendError, match=r"sets OpenEverything= \(systemd may know it, .* than systemd 257\)"
    ):
        by_systemd(on=host(unit=facts["unit"], systemd=later))


SPECIFIERS = {
    "%p": "/run/demo",
    "%N": "/run/demo",
    "x/%n": "/run/x/demo.service",
    "%j%%": "/run/demo%",
    "x:%p": "/run/x",
}


@pytest.mark.parametrize(("value", "want"), SPECIFIERS.items())
def test_directories_are_those_that_systemd_makes(value: str, want: str) -> None:
    made = by_systemd(*CLOSURES, on=host(service={"RuntimeDirectory": [value]}))
    assert f"{want} is writable, because the unit's own RuntimeDirectory= makes it" in said(made)
    quoted = "-" + want.replace("%", "%%")
    assert quoted in values(made, "NoExecPaths")


def test_programs_are_those_that_systemd_starts() -> None:
    on = host(service={"ExecStart": ["@/usr/lib/%p/serve serve %i"]})
    assert [program.path for program in Host(manifest(), on).programs] == ["/usr/lib/demo/serve"]


@pytest.mark.parametrize(
    ("key", "value"), [("StateDirectory", "x/%H"), ("ExecStart", "/opt/%m/serve"), ("PIDFile", "/run/%b.pid")]
)
def test_what_cannot_be_told_is_refused(key: str, value: str) -> None:
    with pytest.raises(
        BackendError, match=rf"Unit {UNIT} sets {key}={value}, and what '%.' stands for is not"
    ):
        by_systemd(on=host(service={key: [value]}))
    by_systemd(on=host(service={"ExecStart": ["/usr/bin/serve --name %H"]}))  # an argument is no path of ours


def test_groups_of_the_account_count_too() -> None:
    on = host(groups={"docker": ["alice", "www-data"], "sudo": ["alice"]})
    made = by_systemd(*CLOSURES, m.User("identity.user", name="www-data"), on=on)
    assert [why for _clause, why in made.holes] == [
        "it is in the group 'docker', which acts as root through the container engine"
    ]
    assert "-/etc/shadow" in values(made, "InaccessiblePaths")
    assert by_systemd(*CLOSURES, m.User("identity.user", name="demo"), on=on).holes == ()


def test_a_dynamic_account_has_its_directories_behind_links() -> None:
    on = host(service={"DynamicUser": ["yes"], "StateDirectory": ["x"], "RuntimeDirectory": ["x"]})
    made = by_systemd(*CLOSURES, m.Write("w", path=path("/var/lib/x/data")), on=on)
    # A mount on the link would fail: what counts is where systemd keeps the directory.
    assert values(made, "BindPaths") == ["-/var/lib/private/x"]
    for key in ("NoExecPaths", "ReadWritePaths", "BindPaths", "BindReadOnlyPaths"):
        assert not [value for value in values(made, key) if value.startswith("-/var/lib/x")]
    assert "-/run/x" in values(made, "ReadWritePaths")
