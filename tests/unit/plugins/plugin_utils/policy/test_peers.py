# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import Refusal
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import PeerKind
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.peers import canonical, network, peer

GROUPS = {"web": ["10.0.0.7", "10.0.0.6", "2001:db8::5"], "empty": [], "named": ["web1"]}


@pytest.mark.parametrize(
    ("text", "kind", "addresses"),
    [
        ("any", PeerKind.ANY, ()),
        ("loopback", PeerKind.LOOPBACK, ()),
        ("dns", PeerKind.DNS, ()),
        ("10.0.0.1", PeerKind.ADDRESSES, ("10.0.0.1/32",)),
        ("10.20.0.0/16", PeerKind.ADDRESSES, ("10.20.0.0/16",)),
        ("2001:DB8:0::1", PeerKind.ADDRESSES, ("2001:db8::1/128",)),
        ("group:web", PeerKind.ADDRESSES, ("10.0.0.6/31", "2001:db8::5/128")),
        ("api.example.com", PeerKind.NAME, ()),
        ("db", PeerKind.NAME, ()),
    ],
)
def test_peer(text: str, kind: PeerKind, addresses: tuple[str, ...]) -> None:
    found = peer(text, GROUPS)
    assert (found.text, found.kind, found.addresses) == (text, kind, addresses)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("group:wep", "the inventory has no group 'wep'."),
        ("group:empty", "the group 'empty' is empty."),
        ("group:named", "the group 'named' has 'web1', which is no address."),
        ("10.20.0.5/16", "the network '10.20.0.5/16' has bits set behind its prefix length."),
        ("300.1.1.1", "'300.1.1.1' is no address."),
        ("10.1", "'10.1' is no address."),
        ("::ffff:10.0.0.1", "'::ffff:10.0.0.1' is an IPv4 address written as IPv6."),
        ("fe80::1%eth0", "'fe80::1%eth0' names an interface."),
        ("*", "'*' is no peer."),
        ("a b", "'a b' is no peer."),
        ("-a.example", "'-a.example' is no peer."),
        ("x; drop", "'x; drop' is no peer."),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        peer(text, GROUPS)
    assert caught.value.message == message
    assert caught.value.help_text


@given(st.lists(st.ip_addresses(v=4).map(str), min_size=1), st.randoms())
def test_the_order_of_a_group_does_not_matter(addresses: list[str], random: object) -> None:
    shuffled = list(addresses)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert canonical(map(network, addresses)) == canonical(map(network, shuffled))


@given(st.lists(st.ip_addresses(v=4).map(str), min_size=1))
def test_a_group_is_exactly_its_hosts(addresses: list[str]) -> None:
    held = [ipaddress.ip_network(text) for text in canonical(map(network, addresses))]
    assert sum(one.num_addresses for one in held) == len(set(addresses))
    assert all(any(ipaddress.ip_address(a) in one for one in held) for a in addresses)
