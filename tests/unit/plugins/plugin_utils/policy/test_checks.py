# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from policy_support import Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.checks import PRIVILEGED_SOCKETS, overlap
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.paths import normal
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.units import port

WAIVE = "waivers: [{clause: '%s', on: linux, reason: known, owner: team, until: 2027-01-01}]\n"


def faults(make: Make, body: str) -> list[str]:
    with pytest.raises(PolicyFaults) as caught:
        make(body)
    return [fault.message for fault in caught.value.faults]


@pytest.mark.parametrize("name", PRIVILEGED_SOCKETS[m.OS.LINUX])
def test_no_privileged_socket_can_be_reached(make: Make, name: str) -> None:
    body = f"ipc: {{unix: [{name}]}}\n"
    assert faults(make, body) == [f"'{name}' reaches the privileged socket '{name}' on linux."]
    assert make(body + WAIVE % f"ipc.unix[{name}]").waivers


def test_sockets_are_in_their_normal_spelling() -> None:
    for names in PRIVILEGED_SOCKETS.values():
        assert [normal(name, pipe=True) for name in names] == list(names)


@pytest.mark.parametrize("entry", ["/run/systemd", "/var/run/systemd", "{glob: '/run/*/private'}"])
def test_not_by_a_tree_or_a_glob_either(make: Make, entry: str) -> None:
    assert "reaches the privileged socket '/run/systemd/" in faults(make, f"ipc: {{unix: [{entry}]}}\n")[0]


def test_other_sockets_are_free(make: Make) -> None:
    assert make("ipc: {unix: [/run/php/php-fpm.sock, /run/postgresql]}\n").of(m.UnixSocket)


@pytest.mark.parametrize(
    ("write", "run", "refused"),
    [
        ("/opt/app", "/opt/app", True),
        ("/opt/app", "/opt/app/bin/x", True),
        ("/opt/app/tmp", "/opt/app", True),
        ("/opt/data", "/opt/app", False),
        ("/opt/application", "/opt/app", False),
        ("{glob: '/opt/app/*.log'}", "/opt/app/bin", False),
        ("{glob: '/opt/*/bin'}", "/opt/app/bin/x", True),
        ("$program", "$program", True),
    ],
)
@pytest.mark.parametrize(
    "section",
    ["filesystem: {write: [%s], execute: [%s]}", "filesystem: {write: [%s]}\nprocesses: {spawn: [%s]}"],
)
def test_nothing_is_writable_and_executable(
    make: Make, write: str, run: str, refused: bool, section: str
) -> None:
    body = section % (write, run) + "\n"
    if refused:
        assert "is writable and" in faults(make, body)[0]
        assert make(body + WAIVE % "filesystem.write").waivers
    else:
        assert make(body)


def test_only_systems_with_a_workload_count(make: Make) -> None:
    names = "paths: {a: {linux: /a, macos: /x}, b: {linux: /b, macos: /x}}\n"
    assert make(names + "filesystem: {write: [$a], execute: [$b]}\n")


def test_overlap() -> None:
    assert overlap(port("tcp/1-5"), port("tcp/5-9"))
    assert overlap(port("tcp/*"), port("tcp/80"))
    assert not overlap(port("tcp/1-4"), port("tcp/5-9"))
    assert not overlap(port("tcp/80"), port("udp/80"))


def test_overlapping_ports_of_a_peer(make: Make) -> None:
    body = "network: {connect: [{to: any, ports: [tcp/80, tcp/1-100]}]}\n"
    assert faults(make, body) == ["the ports 'tcp/1-100' and 'tcp/80' overlap."]
