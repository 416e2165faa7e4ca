# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_systems import content, hostile_text, run, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import evaluate
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

WIN = m.OS.WINDOWS
NETWORKS = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3/32",
    "0.0.0.0/1",
    "2001:db8::/32",
    "2001:db8::7/128",
    "fe80::/10",
]
# Where networks begin and end, and one beyond.
ADDRESSES = sorted(
    {
        str(edge + step)
        for text in NETWORKS
        for network in [ipaddress.ip_network(text)]
        for edge in (network.network_address, network.broadcast_address)
        for step in (-1, 0, 1)
        if 2 <= int(edge) + step < 2**network.max_prefixlen
    }
    | {"255.255.255.255", "126.255.255.255", "128.0.0.0", "::2"}
)
v4 = st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number)))
v6 = st.integers(2, 2**128 - 1).map(lambda number: str(ipaddress.IPv6Address(number)))
addresses = st.one_of(st.sampled_from(ADDRESSES), v4, v6).filter(
    lambda text: not ipaddress.ip_address(text).is_loopback
)
spans = st.builds(
    lambda protocol, first, length: m.Port(protocol, first, min(65535, first + length)),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from([0, 1, 79, 80, 81, 443, 65535]),
    st.sampled_from([0, 1, 2, 65535]),
)
peers = st.one_of(
    st.just(m.Peer("any", m.PeerKind.ANY)),
    st.just(m.Peer("loopback", m.PeerKind.LOOPBACK)),
    st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=3).map(
        lambda found: m.Peer("group:x", m.PeerKind.ADDRESSES, tuple(sorted(set(found))))
    ),
)
wishes = st.lists(st.tuples(peers, st.lists(spans, max_size=2)), max_size=4).map(
    lambda found: [
        m.Connect(f"network.connect[{n}]", peer=p, ports=tuple(w)) for n, (p, w) in enumerate(found)
    ]
)


def rules(*clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE) -> list[dict]:
    return json.loads(content(run("win_firewall", WIN, *clauses, mode=mode), "firewall.json"))["rules"]


def blocked(found: list[dict], direction: str, port: m.Port, address: str) -> bool:
    """Whether a block rule of this direction hits the packet; a block rule beats all others."""
    key = "LocalPort" if direction == "Inbound" else "RemotePort"
    return any(
        rule["Direction"] == direction
        and rule["Action"] == "Block"
        and rule["Protocol"] == port.protocol.upper()
        and any(_in_ports(text, port.first) for text in rule.get(key, ["0-65535"]))
        and any(_in_addresses(text, address) for text in rule.get("RemoteAddress", [address]))
        for rule in found
    )


def _in_ports(text: str, port: int) -> bool:
    first, _, last = text.partition("-")
    return int(first) <= port <= int(last or first)


def _in_addresses(text: str, address: str) -> bool:
    first, _, last = text.partition("-")
    one, begin, end = (ipaddress.ip_address(item) for item in (address, first, last or first))
    return one.version == begin.version and begin <= one <= end


@given(wishes, addresses, spans)
def test_blocked_if_and_only_if_not_allowed(clauses, address, port):
    one = m.Port(port.protocol, port.first, port.first)
    allowed = evaluate.connect_act(clauses, address, one).outcome is evaluate.Outcome.ALLOW
    assert blocked(rules(*clauses), "Outbound", one, address) is not allowed


@given(st.lists(spans, max_size=3), spans, addresses)
def test_inbound_ports_are_blocked_unless_listened_on(found, port, address):
    clauses = [m.Listen(f"network.listen[{n}]", port=one) for n, one in enumerate(found)]
    one = m.Port(port.protocol, port.first, port.first)
    allowed = evaluate.listen_act(clauses, one).outcome is evaluate.Outcome.ALLOW
    assert blocked(rules(*clauses), "Inbound", one, address) is not allowed


@given(wishes, addresses, spans)
def test_a_family_that_is_not_listed_is_blocked_both_ways(clauses, address, port):
    one = m.Port(port.protocol, port.first, port.first)
    version = ipaddress.ip_address(address).version
    other = m.Families("network.families", names=(f"ipv{10 - version}",))
    listen = m.Listen("network.listen[x]", port=m.Port(port.protocol, 0, 65535))
    for direction in ("Inbound", "Outbound"):
        assert blocked(rules(*clauses, other, listen), direction, one, address)


@given(wishes.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_order_of_clauses_changes_no_byte(pair):
    assert rules(*pair[0]) == rules(*pair[1])


@given(wishes, st.lists(spans, max_size=2))
def test_audit_blocks_nothing(clauses, found):
    listens = [m.Listen(f"network.listen[{n}]", port=one) for n, one in enumerate(found)]
    made = rules(m.ConnectClosure("network.connect"), *clauses, *listens, mode=m.Mode.AUDIT)
    assert {rule["Action"] for rule in made} <= {"Allow"}


def test_audit_says_what_it_left_out():
    made = run("win_firewall", WIN, m.ConnectClosure("network.connect"), mode=m.Mode.AUDIT)
    said = verdict(made, "network.connect")
    assert said.status is Status.PARTIAL
    assert said.detail == "audit mode leaves it out: the firewall has no rule that only logs"


def test_icmp_is_blocked_and_rules_name_the_service():
    made = rules()
    assert {"ICMPv4", "ICMPv6"} <= {rule["Protocol"] for rule in made}
    assert {rule["Service"] for rule in made} == {"demo"}
    assert len({rule["Name"] for rule in made}) == len(made)


@given(hostile_text)
def test_no_value_adds_a_rule_or_a_key(identity):
    clause = m.Listen(identity, port=m.Port("tcp", 80, 80))
    made = rules(clause)
    plain = rules(m.Listen("c", port=m.Port("tcp", 80, 80)))
    assert [sorted(rule) for rule in made] == [sorted(rule) for rule in plain]
    assert identity in [rule["clause"] for rule in made]


def _connect(kind: m.PeerKind, **more: object) -> m.Connect:
    return m.Connect("c", peer=m.Peer("example.com", kind), **more)


@pytest.mark.parametrize(
    ("clause", "status", "said"),
    [
        (_connect(m.PeerKind.NAME), Status.REFUSED, "no host names (c 'example.com')"),
        (_connect(m.PeerKind.ANY, rate=1.0), Status.PARTIAL, "the rate is not limited"),
        (_connect(m.PeerKind.ANY, max_open=1), Status.PARTIAL, "the number of open connections is not"),
        (_connect(m.PeerKind.DNS), Status.PARTIAL, "DNS Client service, for every name"),
        (_connect(m.PeerKind.LOOPBACK), Status.PARTIAL, "does not filter loopback"),
        (_connect(m.PeerKind.ANY), Status.ENFORCED, ""),
        (_connect(m.PeerKind.ANY, ports=(m.Port("sctp", 1, 1),)), Status.REFUSED, "not 'sctp'"),
        (m.Listen("c", port=m.Port("sctp", 1, 1)), Status.REFUSED, "not 'sctp' (c)"),
        (m.ListenClosure("c"), Status.PARTIAL, "nothing from outside gets to it"),
        (m.MaxConnections("c", count=1), Status.REFUSED, "cannot count connections"),
    ],
)
def test_verdicts(clause, status, said):
    found = verdict(run("win_firewall", WIN, clause), "c")
    assert found.status is status
    assert said in found.detail


def test_a_refused_peer_opens_nothing():
    name = m.Connect("c", peer=m.Peer("example.com", m.PeerKind.NAME), ports=(m.Port("tcp", 80, 80),))
    assert rules(name) == rules()
