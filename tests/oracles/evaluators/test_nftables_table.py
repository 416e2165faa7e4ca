# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluator of nftables on a table that was written by hand."""

from __future__ import annotations

import pytest
from nftables_table import Packet, Table

TEXT = """table inet t {
	chain no {
		meta l4proto tcp reject with tcp reset
		reject with icmpx type port-unreachable
	}
	chain slow {
		ct state new limit rate over 5/second burst 10 packets counter goto no comment "too fast"
		ct state new ct count over 9 counter goto no
		counter accept
	}
	chain out {
		ct direction reply accept
		ip daddr { 10.0.0.0/8, 192.0.2.1 } tcp dport { 80, 8000-8010 } counter accept comment "accept; goto no"
		ip6 daddr 2001:db8::/32 meta l4proto udp goto slow
		meta nfproto ipv6 tcp dport 53 accept
		limit rate 5/second burst 10 packets log prefix "no: " flags skuid
		counter goto no
	}
	chain in {
		tcp dport 22 accept
		udp dport 53 drop
	}
	chain output {
		type filter hook output priority 0; policy accept;
		socket cgroupv2 level 2 "a.slice/b.slice" goto out
	}
	chain input {
		type filter hook input priority 0; policy accept;
		goto in
	}
}
"""


@pytest.mark.parametrize(
    ("hook", "packet", "passes"),
    [
        ("output", Packet("tcp", 80, "10.1.2.3"), True),
        ("output", Packet("tcp", 8010, "192.0.2.1"), True),
        ("output", Packet("tcp", 8011, "192.0.2.1"), False),
        ("output", Packet("udp", 80, "10.1.2.3"), False),
        ("output", Packet("tcp", 80, "192.0.2.2"), False),
        ("output", Packet("udp", 9, "2001:db8::1"), True),
        ("output", Packet("tcp", 9, "2001:db8::1"), False),
        ("output", Packet("tcp", 53, "2001:db9::1"), True),
        ("input", Packet("tcp", 22), True),
        ("input", Packet("udp", 53), False),
        ("input", Packet("tcp", 23), True),  # off the end of a chain: the base chain's policy
        ("forward", Packet("tcp", 23), True),
    ],
)
def test_packets(hook: str, packet: Packet, passes: bool) -> None:
    assert Table(TEXT).allows(hook, packet) is passes


@pytest.mark.parametrize("rule", ["tproxy to :80", "jump out", "queue"])
def test_what_is_not_known_is_no_answer(rule: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        Table(TEXT.replace("goto in", rule)).allows("input", Packet("tcp", 1))


def test_a_line_outside_of_every_chain() -> None:
    with pytest.raises(ValueError, match="outside of a chain"):
        Table("table inet t {\n\tset s { }\n}\n")
