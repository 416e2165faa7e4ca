# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_systems import content, hostile_text, run, verdict
from pf_model import Anchor

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import macos_pf
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import evaluate
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

MAC = m.OS.MACOS
NETWORKS = ["10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/1", "2001:db8::/32"]
EDGES = [
    str(edge + step)
    for network in map(ipaddress.ip_network, NETWORKS)
    for edge, step in (
        (network.network_address, 0),
        (network.broadcast_address, 0),
        (network.broadcast_address, 1),
    )
]
ports = st.builds(
    lambda protocol, first, length: m.Port(protocol, first, min(65535, first + length)),
    st.sampled_from(["tcp", "udp"]),
    st.sampled_from([0, 79, 80, 81, 65535]),
    st.sampled_from([0, 1, 65535]),
)
peers = st.one_of(
    st.just(m.Peer("any", m.PeerKind.ANY)),
    st.lists(st.sampled_from(NETWORKS), min_size=1, max_size=2).map(
        lambda found: m.Peer("group:x", m.PeerKind.ADDRESSES, tuple(sorted(set(found))))
    ),
)
wishes = st.lists(st.tuples(peers, st.lists(ports, max_size=2)), max_size=3)
FIXED = m.Connect(
    "fixed", peer=m.Peer("192.0.2.1", m.PeerKind.ADDRESSES, ("192.0.2.1/32",)), ports=(m.Port("tcp", 9, 9),)
)


def anchor(*clauses: m.Clause) -> Anchor:
    return Anchor(content(run("macos_pf", MAC, *clauses), "bulkhead.demo"))


@given(wishes, st.sampled_from(EDGES), ports)
def test_blocked_if_and_only_if_not_allowed(found, address, port):
    clauses = [FIXED, *(m.Connect(f"c{n}", peer=p, ports=tuple(w)) for n, (p, w) in enumerate(found))]
    one = m.Port(port.protocol, port.first, port.first)
    allowed = evaluate.connect_act(clauses, address, one).outcome is evaluate.Outcome.ALLOW
    made = anchor(*clauses)
    assert made.blocks("_demo", port.protocol, address, port.first) is not allowed
    assert not made.blocks("_other", port.protocol, address, port.first)


def test_answers_of_our_own_listeners_pass():
    made = anchor(FIXED, m.Listen("l", port=m.Port("udp", 53, 53)), m.Listen("m", port=m.Port("tcp", 80, 80)))
    assert not made.blocks("_demo", "udp", "198.51.100.1", 40000, source=53)
    assert made.blocks("_demo", "udp", "198.51.100.1", 40000, source=54)
    assert not made.blocks("_demo", "tcp", "198.51.100.1", 40000, source=80, opens=False)
    assert made.blocks("_demo", "tcp", "198.51.100.1", 40000, source=80)


def test_a_family_that_is_not_listed_is_blocked():
    made = anchor(FIXED, m.Connect("a", peer=m.Peer("any", m.PeerKind.ANY)), m.Families("f", names=("ipv4",)))
    assert made.blocks("_demo", "tcp", "2001:db8::1", 443)
    assert not made.blocks("_demo", "tcp", "198.51.100.1", 443)


def test_nothing_is_rendered_without_need_or_without_an_account():
    everyone = m.Connect("a", peer=m.Peer("any", m.PeerKind.ANY))
    local = m.Connect("b", peer=m.Peer("::1", m.PeerKind.ADDRESSES, ("::1/128",)))
    for made in (run("macos_pf", MAC, everyone, local), run("macos_pf", MAC, FIXED, user="nobody")):
        assert made.artifacts == made.verdicts == ()


def test_verdicts_are_partial_and_say_why():
    made = run("macos_pf", MAC, FIXED, m.ConnectClosure("network.connect"))
    for clause in ("fixed", "network.connect"):
        assert verdict(made, clause).status is Status.PARTIAL
        assert "pf has to be on" in verdict(made, clause).detail
        assert "not seen on a real host" in verdict(made, clause).detail


def test_audit_blocks_nothing():
    made = run("macos_pf", MAC, FIXED, mode=m.Mode.AUDIT)
    assert made.artifacts == ()
    assert verdict(made, "fixed").detail.startswith("audit mode leaves it out")


@given(hostile_text)
def test_no_account_adds_a_rule(name):
    """Whatever the account is called, it is refused or stands where an account stands."""
    try:
        made = run("macos_pf", MAC, FIXED, user=name)
    except BackendError as error:
        assert repr(name) in str(error)
        return
    rules = Anchor(content(made, "bulkhead.demo")).rules if made.artifacts else []
    assert {rule["user"] for rule in rules} <= {name}


def test_words_are_not_quoted_but_refused():
    assert macos_pf.word("_www2") == "_www2"
    for wrong in ("", "a b", 'a"', "a\npass", "{a}", "-x"):
        with pytest.raises(BackendError, match="cannot be written in pf's rules"):
            macos_pf.word(wrong)
