# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from policy_support import CASES, GROUPS, TODAY

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.clauses import CLOSURES, SECTIONS
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.manifest import to_data
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve

EVERYTHING = load_and_resolve(CASES / "everything.accepted.yml", [], GROUPS, TODAY)
IDS = {clause.id: clause for clause in EVERYTHING.clauses}


def test_every_kind_of_clause_of_the_model_is_resolved() -> None:
    def leaves(kind: type[m.Clause]) -> set[type[m.Clause]]:
        below = kind.__subclasses__()
        return set().union(*map(leaves, below)) if below else {kind}

    assert {type(clause) for clause in EVERYTHING.clauses} == leaves(m.Clause)


@pytest.mark.parametrize(
    ("clause_id", "fields"),
    [
        ("identity.user", {"name": "app"}),
        ("locked", {"name": "lock_memory"}),
        ("network.listen[udp/5000-5010]", {"port": m.Port("udp", 5000, 5010)}),
        ("network.connect[group:app_servers tcp/8080 tcp/8090]", {"rate": 200.0, "max_open": 100}),
        ("network.connect[dns]", {"ports": ()}),
        ("network.families", {"names": ("ipv4", "ipv6", "netlink", "unix")}),
        ("processes.syscalls", {"groups": ("basic", "network_client", "network_server", "resources")}),
        ("memory.limit", {"bytes": 512 * 2**20}),
        ("memory.writable_and_executable", {"allow": True}),
        ("cpu.limit", {"percent": 150}),
        ("ipc.shared_memory", {"private": False}),
        ("environment.allow", {"names": ("LANG", "TZ")}),
        ("environment.set[WORKERS]", {"value": "4"}),
        ("environment.set[DEBUG]", {"value": "false"}),
        ("environment.set[NAME]", {"value": "on"}),
        ("secrets[tls_key]", {"rotate_after": 7776000.0, "rotate_with": "playbooks/rotate_tls.yml"}),
        ("resilience.start_timeout", {"seconds": 0.5}),
        ("resilience.restart_limit", {"count": 5, "seconds": 600.0}),
        ("resilience.restart", {"when": "always"}),
    ],
)
def test_values(clause_id: str, fields: dict[str, object]) -> None:
    clause = IDS[clause_id]
    assert {name: getattr(clause, name) for name in fields} == fields


def test_a_group_becomes_its_addresses() -> None:
    clause = IDS["network.connect[group:app_servers tcp/8080 tcp/8090]"]
    assert isinstance(clause, m.Connect)
    assert clause.peer == m.Peer("group:app_servers", m.PeerKind.ADDRESSES, ("10.0.0.6/31",))


def test_a_bracket_in_a_plain_path_is_a_bracket() -> None:
    clause = IDS["filesystem.read[$odd]"]
    assert isinstance(clause, m.Read)
    assert clause.path.on(m.OS.LINUX) == "/srv/a [b]*"
    assert not clause.path.glob


def test_origin_and_reason_are_kept() -> None:
    clause = IDS["logs"]
    assert clause.why == "logs"
    assert clause.origin.file.endswith("everything.accepted.yml") and clause.origin.line > 1


def test_closures_are_always_there() -> None:
    minimal = load_and_resolve(CASES / "minimal.accepted.yml", [], GROUPS, TODAY)
    kinds = {type(clause) for clause in minimal.clauses}
    defaults = {m.Families, m.Syscalls, m.WritableAndExecutable, m.CoreDumps, m.SharedMemory}
    assert kinds == {*CLOSURES, *defaults}
    assert minimal.of(m.Families)[0].names == ("unix",)
    assert minimal.of(m.Syscalls)[0].groups == ("basic",)


def test_ids_are_unique() -> None:
    assert len(IDS) == len(EVERYTHING.clauses)


def test_the_manifest_holds_no_control_character() -> None:
    def texts(node: object) -> list[str]:
        if isinstance(node, dict):
            return [t for pair in node.items() for one in pair for t in texts(one)]
        if isinstance(node, list):
            return [t for one in node for t in texts(one)]
        return [node] if isinstance(node, str) else []

    assert all(text.isprintable() for text in texts(to_data(EVERYTHING)))


def test_sections_are_those_of_the_model() -> None:
    assert "filesystem.deny" in SECTIONS and "resilience.restart_limit" in SECTIONS
