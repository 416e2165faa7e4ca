# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from denials_support import call, denied, file, policy

NET = {"mechanism": "nftables", "protocol": "tcp", "port": 443}


@pytest.mark.parametrize(
    ("row", "clause"),
    [
        (file("read", "/etc/fstab"), "filesystem.read"),
        (file("read", "/etc/web/keys/a"), "filesystem.deny[/etc/web/keys]"),
        (file("read", "/etc/ssl/private/web.key"), "secrets[key]"),
        (file("write", "/etc/fstab"), "filesystem.write"),
        # a grant that narrows a wider one is what denies
        (file("write", "/var/log/web/old/1.gz"), "filesystem.read[/var/log/web/old]"),
        (file("execute", "/usr/bin/id"), "filesystem.execute"),
        (file("read", "/dev/sda"), "devices"),
        # what the policy allows is no clause's doing: the host has another version of it
        (file("read", "/etc/web/web.conf"), ""),
        (file("read", "/var/lib/web/"), ""),
        ({**NET, "act": "connect", "label": "network.connect", "address": "192.0.2.1"}, "network.connect"),
        ({**NET, "act": "connect", "label": "billing max_open", "address": "192.0.2.9"}, "billing"),
        ({**NET, "act": "connect", "label": "billing rate", "address": "192.0.2.9"}, "billing"),
        ({**NET, "act": "listen", "label": "network.listen"}, "network.listen"),
        ({**NET, "act": "listen", "label": "network.max_connections"}, "network.max_connections"),
        ({**NET, "act": "connect", "label": "network.connect[gone tcp/1]", "address": "192.0.2.1"}, ""),
        ({"mechanism": "apparmor", "act": "privilege", "capability": "net_admin"}, "identity.privileges"),
        ({"mechanism": "apparmor", "act": "privilege", "capability": "net_bind_service"}, ""),
        (
            {"mechanism": "apparmor", "act": "socket", "family": "netlink", "socket": "raw"},
            "network.families",
        ),
        (
            {"mechanism": "apparmor", "act": "socket", "family": "inet", "socket": "raw"},
            "identity.privileges",
        ),
        ({"mechanism": "cgroup", "act": "memory"}, "memory.limit"),
        ({"mechanism": "cgroup", "act": "processes"}, "processes.max"),
        ({"mechanism": "apparmor", "act": "other", "operation": "mount"}, "identity.privileges"),
        ({"mechanism": "apparmor", "act": "other", "operation": "ptrace"}, "identity.privileges"),
        ({"mechanism": "apparmor", "act": "other", "operation": "userns_create"}, ""),
    ],
)
def test_an_act_is_the_doing_of_one_clause(tmp_path: Path, row: dict[str, Any], clause: str) -> None:
    assert denied(policy(tmp_path), **row)[0] == clause


@pytest.mark.parametrize(
    ("number", "open_calls", "clause"),
    [
        (105, {"read"}, "processes.syscalls"),  # setuid
        (170, {"read"}, "processes.syscalls"),  # sethostname: the call list comes before ProtectHostname=
        (41, {"socket"}, "network.families"),
        (10, {"mprotect"}, "memory.writable_and_executable"),
        (90, {"chmod"}, "identity.privileges"),  # RestrictSUIDSGID=
        (56, {"clone"}, "identity.privileges"),  # RestrictNamespaces=
        (135, {"personality"}, "identity.privileges"),
        (9999, {"read"}, "processes.syscalls"),
    ],
)
def test_a_call_that_the_list_has_was_refused_by_another_filter(
    tmp_path: Path, number: int, open_calls: set[str], clause: str
) -> None:
    assert denied(policy(tmp_path), open_calls, **call(number))[0] == clause


def test_a_call_of_another_architecture_is_the_call_filters(tmp_path: Path) -> None:
    clause, offered = denied(policy(tmp_path), {"socket"}, **call(41, "40000003"))
    assert clause == "processes.syscalls" and offered.change is None


def test_a_clause_id_that_nft_cannot_hold_is_found_by_its_digest(tmp_path: Path) -> None:
    from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.nftables_text import label

    ports = ", ".join(f"tcp/{port}" for port in range(1000, 1030))
    text = f"- {{to: 10.9.9.9, ports: [{ports}], max_open: 3}}\n    - {{to: 10.0.0.0/8"
    from denials_support import TEXT

    made = policy(tmp_path, TEXT.replace("- {to: 10.0.0.0/8", text, 1))
    clause = next(one.id for one in made.manifest.clauses if one.id.startswith("network.connect[10.9.9.9"))
    assert len(clause) > 127
    row = {**NET, "act": "connect", "label": label(clause, " max_open"), "address": "10.9.9.9"}
    assert denied(made, **row)[0] == clause
