# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from policy_support import Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults


def test_health(make: Make) -> None:
    body = """health:
  - {tcp: '127.0.0.1:80'}
  - {http: 'http://127.0.0.1/healthz', status: 204, within: 500ms}
  - {command: [/usr/bin/app, --check, 1]}
"""
    command, http, tcp = make(body).health
    assert (tcp.id, tcp.tcp, tcp.within) == ("health[tcp 127.0.0.1:80]", "127.0.0.1:80", 5.0)
    assert (http.http, http.status, http.within) == ("http://127.0.0.1/healthz", 204, 0.5)
    assert command.command == ("/usr/bin/app", "--check", "1")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{tcp: '127.0.0.1:80', status: 200}", "'status' belongs to 'http' alone."),
        ("{http: 'http://127.0.0.1:70000/'}", "the port in 'http://127.0.0.1:70000/' is out of range."),
        ("{http: 'ftp://127.0.0.1/'}", "'ftp://127.0.0.1/' is not in the form that belongs here."),
        ("{command: [true]}", "the command 'true' does not begin with an absolute path."),
        ("{within: 1s}", "none of http, tcp, command is given."),
    ],
)
def test_bad_health(make: Make, entry: str, message: str) -> None:
    with pytest.raises(PolicyFaults) as caught:
        make(f"health: [{entry}]\n")
    assert [fault.message for fault in caught.value.faults] == [message]


def test_an_override_that_is_listed_twice_is_one(make: Make) -> None:
    (found,) = make("overrides: {linux: {systemd: {Wants: ['5', 5, '5']}}}\n").overrides
    assert found.id == "overrides.linux.systemd.Wants[5]"


def test_overrides(make: Make) -> None:
    found = make("overrides: {linux: {systemd: {Nice: 5, RemoveIPC: true, Sockets: [b, a]}}}\n").overrides
    assert [(one.id, one.backend, one.key, one.value) for one in found] == [
        ("overrides.linux.systemd.Nice", "systemd", "Nice", "5"),
        ("overrides.linux.systemd.RemoveIPC", "systemd", "RemoveIPC", "true"),
        ("overrides.linux.systemd.Sockets[a]", "systemd", "Sockets", "a"),
        ("overrides.linux.systemd.Sockets[b]", "systemd", "Sockets", "b"),
    ]
