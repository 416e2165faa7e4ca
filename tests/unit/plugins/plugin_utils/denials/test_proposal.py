# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from denials_support import TEXT, call, denied, file, policy

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.explain import read_policy

CONNECT = {"mechanism": "nftables", "act": "connect", "protocol": "tcp", "label": "network.connect"}
PROC = (
    "ProcSubset=pid is no longer set: all of /proc is visible, beside processes the settings and figures of the whole "
    "host"
)
LISTEN = {"mechanism": "nftables", "act": "listen", "protocol": "tcp", "label": "network.listen"}


@pytest.mark.parametrize(
    ("row", "change", "opens"),
    [
        (file("read", "/etc/fstab"), "filesystem: {read: [/etc/fstab]}", []),
        (
            file("read", "/etc/ssh/sshd_config"),
            "filesystem: {read: [/etc/ssh/sshd_config]}",
            ["what is known to hold secrets of the system"],
        ),
        (file("execute", "/usr/bin/id"), "filesystem: {execute: [/usr/bin/id]}", ["reading it"]),
        (
            file("read", "/etc/apt/"),
            "filesystem: {read: [/etc/apt]}",
            ["everything below /etc/apt"],
        ),
        (
            file("read", "/proc/4711/stat"),
            "filesystem: {read: [{glob: /proc/*/stat}]}",
            ["the same file of every process that the service can see", PROC],
        ),
        (
            file("write", "/var/spool/web/a", creates=True, enforced=False),
            "filesystem: {write: [/var/spool/web]}",
            ["reading, making, changing and removing everything below /var/spool/web"],
        ),
        (
            file("write", "/var/spool/web/a", creates=True, enforced=True),
            "filesystem: {write: [/var/spool/web/a]}",
            ["reading, changing and removing it"],
        ),
        (
            file("write", "/var/log/web/old/1.gz"),
            "filesystem: {write: [/var/log/web/old/1.gz]}",
            ["reading, changing and removing it"],
        ),
        (
            {**CONNECT, "address": "192.0.2.7", "port": 443},
            "network: {connect: [{to: 192.0.2.7, ports: [tcp/443]}]}",
            ["every process of the service may send anything to tcp/443 at 192.0.2.7"],
        ),
        (
            {**CONNECT, "protocol": "udp", "address": "2001:db8:0:0::7", "port": 53},
            "network: {connect: [{to: '2001:db8::7', ports: [udp/53]}]}",
            ["every process of the service may send anything to udp/53 at 2001:db8::7"],
        ),
        (
            {**LISTEN, "port": 8080},
            "network: {listen: [tcp/8080]}",
            ["everybody who reaches the host on tcp/8080 talks to the service"],
        ),
        (
            {**LISTEN, "label": "network.max_connections", "port": 80, "count": 7},
            "network: {max_connections: 107}",
            ["107 connections at once, 100 so far; how many are needed no record says"],
        ),
        (
            {"mechanism": "cgroup", "act": "processes", "count": 3},
            "processes: {max: 35}",
            ["35 processes and threads at once, 32 so far; how many are needed no record says"],
        ),
        (
            {"mechanism": "cgroup", "act": "processes", "count": 9_000_000_000},
            "processes: {max: 64}",
            [
                "64 processes and threads at once, 32 so far; how many are needed no record says: twice is a first "
                "try"
            ],
        ),
        (
            {**LISTEN, "label": "network.max_connections", "port": 80, "count": 5_000_000},
            "network: {max_connections: 200}",
            ["200 connections at once, 100 so far; how many are needed no record says: twice is a first try"],
        ),
        (
            file("read", "/proc/sys/vm/overcommit_memory"),
            "filesystem: {read: [/proc/sys/vm/overcommit_memory]}",
            [PROC],
        ),
        (
            file("read", "/dev/fuse"),
            "devices: [/dev/fuse]",
            [
                "reading, writing and controlling the device",
                PROC,
                "PrivateDevices=yes is no longer set: the host's own /dev is visible; DevicePolicy= keeps its other "
                "devices closed",
            ],
        ),
    ],
)
def test_the_smallest_change_and_what_it_opens(
    tmp_path: Path, row: dict[str, Any], change: str, opens: list[str]
) -> None:
    _clause, offered = denied(policy(tmp_path), **row)
    assert offered.change is not None, offered.why
    assert offered.change.text() == change
    assert list(offered.opens) == opens


@pytest.mark.parametrize(
    ("capability", "doors"),
    [
        ("kill", ["ProtectProc=invisible"]),
        ("fowner", ["RestrictSUIDSGID=yes"]),
        ("sys_nice", ["RestrictRealtime=yes"]),
        ("sys_time", ["ProtectClock=yes"]),
        ("net_admin", ["ProtectKernelTunables=yes"]),
        ("chown", []),
    ],
)
def test_a_privilege_tells_which_doors_it_leaves_open(
    tmp_path: Path, capability: str, doors: list[str]
) -> None:
    row = {"mechanism": "apparmor", "act": "privilege", "capability": capability}
    _clause, offered = denied(policy(tmp_path), **row)
    told = [text.partition(" ")[0] for text in offered.opens if "is no longer set: " in text]
    assert told == doors


def test_a_door_that_is_open_already_is_not_told(tmp_path: Path) -> None:
    made = policy(tmp_path, TEXT.replace("read: [/etc/web,", "read: [/etc/web, /proc/meminfo,"))
    assert denied(made, **file("read", "/proc/cpuinfo"))[1].opens == ()


def test_a_privilege_tells_its_capabilities_its_calls_and_what_it_undoes(tmp_path: Path) -> None:
    row = {"mechanism": "apparmor", "act": "privilege", "capability": "sys_ptrace"}
    _clause, offered = denied(policy(tmp_path), **row)
    assert offered.change is not None
    assert offered.change.text() == "identity: {privileges: [trace_processes]}"
    assert offered.opens == (
        "the whole privilege trace_processes (CAP_SYS_PTRACE): inspect and change other processes",
        "its calls: lookup_dcookie(), perf_event_open(), pidfd_getfd(), ptrace()",
        "it undoes other clauses: it can take over processes that run outside of the sandbox",
        "ProtectProc=invisible is no longer set: processes of other users are visible in /proc",
        PROC,
    )
    assert offered.widens == ("identity.privileges[trace_processes]",)


@pytest.mark.parametrize(("user", "told"), [("user: www-data, ", True), ("", False)])
def test_who_may_switch_its_user_starts_as_root(tmp_path: Path, user: str, told: bool) -> None:
    made = policy(tmp_path, TEXT.replace("user: www-data, ", user))
    _clause, offered = denied(made, {"read"}, **call(116))
    assert any("has to become 'www-data' itself" in text for text in offered.opens) is told


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (248, "processes: {syscalls: [keyring]}"),
        (105, "processes: {syscalls: [switch_user]}"),
        (116, "identity: {privileges: [switch_user]}"),  # setgroups does nothing without its capability
        (
            227,
            "identity: {privileges: [set_clock]}",
        ),  # clock_settime: ProtectClock= stands in the way as well
        (272, "processes: {syscalls: [namespaces]}"),
    ],
)
def test_a_call_is_opened_by_its_group_or_by_the_privilege_that_it_needs(
    tmp_path: Path, number: int, change: str
) -> None:
    _clause, offered = denied(policy(tmp_path), {"read"}, **call(number))
    assert offered.change is not None, offered.why
    assert offered.change.text() == change


def test_a_group_is_added_to_those_that_the_document_writes(tmp_path: Path) -> None:
    made = policy(tmp_path, TEXT.replace("processes: {", "processes: {syscalls: [resources], "))
    _clause, offered = denied(made, {"read"}, **call(248))
    assert offered.change is not None
    assert offered.change.text() == "processes: {syscalls: [keyring]}"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (file("read", "/etc/web/keys/a"), "filesystem.deny[/etc/web/keys] denies it on purpose"),
        (file("read", "/etc/ssl/private/web.key"), "handed over as a secret"),
        (file("read", "/etc/shadow"), "'read /etc/shadow' must be denied, but the policy allows it"),
        (file("write", "/run/docker.sock"), "reaches the privileged socket '/run/docker.sock'"),
        (
            file("write", "/usr/sbin/web"),
            "'/usr/sbin/web' is writable and filesystem.execute[/usr/sbin/web] runs",
        ),
        (file("write", "/etc/new", creates=True, enforced=False), "it makes or removes files in /etc"),
        (file("read", "/srv/a\\\\x1b[2Jb"), "characters that are no part of a path"),
        (file("read", "memfd:x"), "no whole path"),
        (
            {**CONNECT, "address": "169.254.169.254", "port": 80},
            "'connect 169.254.169.254:80' must be denied, but the policy allows it",
        ),
        (
            {**CONNECT, "label": "billing rate", "address": "192.0.2.9", "port": 443},
            "the limit rate of billing",
        ),
        ({**CONNECT, "protocol": "icmp", "address": "192.0.2.9", "port": None}, "icmp without a port"),
        ({**LISTEN, "port": 22}, "'listen tcp/22' must be denied, but the policy allows it"),
        (call(175), "init_module() needs CAP_SYS_MODULE as well"),
        (call(163), "no group of the language holds acct()"),
        (
            {"mechanism": "apparmor", "act": "privilege", "capability": "sys_boot"},
            "stands for the capability",
        ),
        ({"mechanism": "nftables", "act": "packet", "label": "network.connect"}, "nobody knows where"),
        (
            {"mechanism": "apparmor", "act": "other", "operation": "userns_create"},
            "no clause of the language",
        ),
    ],
)
def test_nothing_is_proposed_and_the_reason_is_plain(tmp_path: Path, row: dict[str, Any], why: str) -> None:
    _clause, offered = denied(policy(tmp_path), {"read"}, **row)
    assert offered.change is None
    assert why in offered.why


def test_an_example_is_not_broken_under_the_real_name_of_its_file(tmp_path: Path) -> None:
    made = policy(tmp_path)
    assert denied(made, **file("execute", "/usr/bin/dash"))[1].change is not None
    made = replace(made, links={"/bin/sh": "/usr/bin/dash"})
    offered = denied(made, **file("execute", "/usr/bin/dash"))[1]
    assert offered.change is None
    assert "'execute /bin/sh' must be denied, and on the host /bin/sh is /usr/bin/dash." in offered.why


def test_under_a_baseline_the_change_brings_its_widening_along() -> None:
    made = read_policy("bulletin", [], {}, date(2026, 11, 25))
    _clause, offered = denied(made, {"read"}, **call(248))
    assert offered.change is not None
    assert offered.change.text().splitlines() == [
        "processes: {syscalls: [keyring]}",
        "widens: [{clause: processes.syscalls, reason: say here why}]",
    ]
    assert made.changed(offered.change).digest != made.manifest.digest


def test_a_proposal_leaves_the_policy_as_it_was(tmp_path: Path) -> None:
    made = policy(tmp_path)
    before = made.manifest.digest
    for _each in range(2):
        _clause, offered = denied(made, **file("read", "/etc/fstab"))
        assert offered.change is not None
        assert offered.widens == ("filesystem.read[/etc/fstab]",)
    assert made.manifest.digest == before
    assert "/etc/fstab" not in str(made.document.source.data)
