# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.evaluate import (
    Outcome,
    connect_act,
    listen_act,
    path_act,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.peers import peer
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.units import port

LINUX = m.OS.LINUX
PATHS = st.lists(st.sampled_from("ab"), max_size=3).map(lambda parts: "/" + "/".join(parts))


def at(kind: type[m.PathClause], path: str, *, glob: bool = False) -> m.PathClause:
    return kind(f"{kind.section}[{path}]", path=m.PathRef(path, ((LINUX, path),), glob))


def to(text: str, *ports: str) -> m.Connect:
    return m.Connect(f"network.connect[{text}]", peer=peer(text, {}), ports=tuple(map(port, ports)))


CLAUSES = st.lists(
    st.builds(at, st.sampled_from([m.Read, m.Write, m.Execute, m.Spawn, m.Deny]), PATHS), max_size=6
)


@pytest.mark.parametrize(
    ("clauses", "action", "path", "outcome", "by"),
    [
        ([], "read", "/etc/shadow", "deny", ""),
        ([], "read", "/etc/hosts", "allow", "base"),
        ([], "execute", "/usr/lib/x", "deny", ""),
        ([at(m.Deny, "/etc")], "read", "/etc/hosts", "deny", "filesystem.deny[/etc]"),
        ([at(m.Read, "/a")], "read", "/a/b", "allow", "filesystem.read[/a]"),
        ([at(m.Read, "/a")], "write", "/a/b", "deny", ""),
        ([at(m.Write, "/a")], "read", "/a/b", "allow", "filesystem.write[/a]"),
        ([at(m.Execute, "/a")], "read", "/a", "allow", "filesystem.execute[/a]"),
        ([at(m.Spawn, "/a")], "execute", "/a", "allow", "processes.spawn[/a]"),
        ([at(m.Read, "/a"), at(m.Deny, "/a/b")], "read", "/a/b/c", "deny", "filesystem.deny[/a/b]"),
        ([at(m.Deny, "/a"), at(m.Read, "/a/b")], "read", "/a/b/c", "allow", "filesystem.read[/a/b]"),
        ([at(m.Read, "/a"), at(m.Deny, "/a")], "read", "/a", "deny", "filesystem.deny[/a]"),
        ([at(m.Write, "/a"), at(m.Read, "/a/b")], "write", "/a/b/c", "deny", "filesystem.read[/a/b]"),
        ([at(m.Write, "/a"), at(m.Read, "/a/b")], "write", "/a/c", "allow", "filesystem.write[/a]"),
        ([at(m.Write, "/a"), at(m.Read, "/a/b")], "read", "/a/b/c", "allow", "filesystem.read[/a/b]"),
        ([at(m.Write, "/a"), at(m.Read, "/a")], "write", "/a/b", "allow", "filesystem.write[/a]"),
        ([at(m.Execute, "/a"), at(m.Read, "/a/b")], "execute", "/a/b", "deny", "filesystem.read[/a/b]"),
        ([at(m.Read, "/a"), at(m.Execute, "/a/b")], "execute", "/a/b", "allow", "filesystem.execute[/a/b]"),
        ([at(m.Read, "/a"), at(m.Execute, "/a/b")], "read", "/a/b", "allow", "filesystem.execute[/a/b]"),
        ([at(m.Execute, "/a"), at(m.Read, "/a")], "execute", "/a", "allow", "filesystem.execute[/a]"),
        (
            [at(m.Write, "/a"), at(m.Read, "/a/*.d", glob=True)],
            "write",
            "/a/x.d",
            "deny",
            "filesystem.read[/a/*.d]",
        ),
        (
            [at(m.Write, "/a"), at(m.Deny, "/a/b"), at(m.Read, "/a/b/c")],
            "write",
            "/a/b/c",
            "deny",
            "filesystem.read[/a/b/c]",
        ),
        ([at(m.Read, "/a/*.d", glob=True)], "read", "/a/x.d/y", "allow", "filesystem.read[/a/*.d]"),
    ],
)
def test_paths(clauses: list[m.Clause], action: str, path: str, outcome: str, by: str) -> None:
    decision = path_act(clauses, action, path, LINUX)
    assert (decision.outcome.value, decision.clause) == (outcome, by)


@given(CLAUSES, st.randoms(), PATHS, st.sampled_from(["read", "write", "execute"]))
def test_order_never_matters(clauses: list[m.Clause], random: object, path: str, action: str) -> None:
    shuffled = list(clauses)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (path_act(some, action, path, LINUX).outcome for some in (clauses, shuffled))
    assert one == other


@given(CLAUSES, PATHS, PATHS, st.sampled_from(["read", "write", "execute"]))
def test_a_deny_never_adds_access(clauses: list[m.Clause], denied: str, path: str, action: str) -> None:
    before = path_act(clauses, action, path, LINUX).outcome
    after = path_act([*clauses, at(m.Deny, denied)], action, path, LINUX).outcome
    assert after is Outcome.DENY or before is Outcome.ALLOW


@given(CLAUSES, st.sampled_from([m.Read, m.Write, m.Execute]), PATHS, PATHS)
def test_a_grant_never_takes_reading(
    clauses: list[m.Clause], kind: type[m.PathClause], granted: str, path: str
) -> None:
    before = path_act(clauses, "read", path, LINUX).outcome
    after = path_act([*clauses, at(kind, granted)], "read", path, LINUX).outcome
    assert before is Outcome.DENY or after is Outcome.ALLOW


@given(CLAUSES, CLAUSES, PATHS, st.sampled_from(["read", "write", "execute"]))
def test_nothing_above_the_most_specific_path_matters(
    clauses: list[m.PathClause], above: list[m.PathClause], path: str, action: str
) -> None:
    inside = [clause for clause in clauses if clause.path.text.startswith("/a")]
    outside = [clause for clause in above if clause.path.text == "/"]
    for tree in ("/a", "/a/b"):
        if path.startswith(tree) and any(clause.path.text == tree for clause in inside):
            alone = path_act(inside, action, path, LINUX).outcome
            assert path_act([*outside, *inside], action, path, LINUX).outcome is alone


def test_listening() -> None:
    clauses = [m.Listen("l", port=port("udp/5000-5010"))]
    assert listen_act(clauses, port("udp/5010")).outcome is Outcome.ALLOW
    assert listen_act(clauses, port("udp/5011")).outcome is Outcome.DENY
    assert listen_act(clauses, port("tcp/5010")).outcome is Outcome.DENY


@pytest.mark.parametrize(
    ("clauses", "address", "where", "outcome"),
    [
        ([], "10.0.0.1", "tcp/80", "deny"),
        ([to("10.0.0.0/8", "tcp/80")], "10.9.9.9", "tcp/80", "allow"),
        ([to("10.0.0.0/8", "tcp/80")], "10.9.9.9", "tcp/81", "deny"),
        ([to("10.0.0.0/8", "tcp/80")], "10.9.9.9", "udp/80", "deny"),
        ([to("10.0.0.0/8")], "10.9.9.9", "udp/9", "allow"),
        ([to("10.0.0.0/8")], "11.0.0.1", "tcp/80", "deny"),
        ([to("2001:db8::/32")], "10.0.0.1", "tcp/80", "deny"),
        ([to("loopback")], "127.0.0.1", "tcp/80", "allow"),
        ([to("loopback")], "::1", "tcp/80", "allow"),
        ([to("loopback")], "10.0.0.1", "tcp/80", "deny"),
        ([to("any")], "169.254.169.254", "tcp/80", "allow"),
        ([to("dns")], "9.9.9.9", "udp/53", "depends"),
        ([to("dns")], "9.9.9.9", "tcp/80", "deny"),
        ([to("api.example.com", "tcp/443")], "9.9.9.9", "tcp/443", "depends"),
        ([to("api.example.com", "tcp/443"), to("any", "tcp/443")], "9.9.9.9", "tcp/443", "allow"),
        ([to("loopback"), m.Families("f", names=("ipv4", "unix"))], "127.0.0.1", "tcp/80", "allow"),
        ([to("loopback"), m.Families("f", names=("ipv4", "unix"))], "::1", "tcp/80", "deny"),
        ([m.Families("f", names=("ipv6",)), to("any")], "9.9.9.9", "tcp/80", "deny"),
    ],
)
def test_connecting(clauses: list[m.Clause], address: str, where: str, outcome: str) -> None:
    assert connect_act(clauses, address, port(where)).outcome.value == outcome
