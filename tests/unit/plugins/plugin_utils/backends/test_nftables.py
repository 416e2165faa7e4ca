# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a policy: rules by clause, what a host cannot match, audit mode, and its two units."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linux_support import by_nftables, content, host, verdict

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

CLOSED = (m.ConnectClosure("network.connect"), m.ListenClosure("network.listen"))


def peer(*addresses):
    return m.Peer("group", m.PeerKind.ADDRESSES, tuple(addresses))


def rules(*clauses, **more):
    return content(by_nftables(*CLOSED, *clauses, **more), ".nft")


def test_nothing_granted_nothing_passes():
    text = rules()
    assert text.startswith(
        "# Managed by Bulkhead: policy demo\ntable inet bulkhead_demo { flags owner; }\n"
        "delete table inet bulkhead_demo\ntable inet bulkhead_demo {\n\tflags owner\n"
    )
    assert 'socket cgroupv2 level 2 "bulkhead.slice/bulkhead-demo.slice" goto allow_connect' in text
    assert 'counter goto refuse comment "network.connect"' in text
    assert 'counter goto refuse comment "network.listen"' in text
    assert [line.strip() for line in text.split("\n") if "accept" in line and "type filter" not in line] == [
        "meta l4proto { icmp, ipv6-icmp } ct state related accept",
        "ct direction reply tcp flags & rst == rst accept",
    ]


def test_one_rule_for_each_family_and_protocol():
    clause = m.Connect(
        "c",
        peer=peer("10.0.0.0/8", "10.1.0.1/32", "2001:db8::1/128", "::ffff:192.0.2.1"),
        ports=(m.Port("tcp", 80, 80), m.Port("tcp", 81, 90), m.Port("udp", 0, 65535)),
    )
    lines = [line.strip() for line in rules(clause).split("\n") if 'comment "c"' in line]
    assert lines == [
        'ip daddr { 10.0.0.0/8, 192.0.2.1 } tcp dport { 80-90 } counter accept comment "c"',
        'ip daddr { 10.0.0.0/8, 192.0.2.1 } meta l4proto udp counter accept comment "c"',
        'ip6 daddr { 2001:db8::1 } tcp dport { 80-90 } counter accept comment "c"',
        'ip6 daddr { 2001:db8::1 } meta l4proto udp counter accept comment "c"',
    ]


def chain(text, name):
    """Lines of one chain."""
    inside = text.split(f"chain {name} {{\n")[1].split("\n\t}")[0]
    return [line.strip() for line in inside.split("\n")]


def test_answers_pass_only_where_the_flow_is_granted():
    clause = m.Connect("c", peer=peer("10.0.0.1", "2001:db8::1"), ports=(m.Port("udp", 53, 53),))
    text = rules(clause, m.Listen("l", port=m.Port("tcp", 80, 81)))
    assert chain(text, "allow_connect")[0] == "ct direction reply tcp sport { 80-81 } accept"
    assert chain(text, "allow_listen")[:2] == [
        "ct direction reply ip saddr { 10.0.0.1 } udp sport { 53 } accept",
        "ct direction reply ip6 saddr { 2001:db8::1 } udp sport { 53 } accept",
    ]
    assert text.count("ct direction reply") == 4  # and resets, by which a refusal reaches the service at once


def test_answers_pass_where_the_other_side_is_not_closed():
    for closure, name in zip(CLOSED, ("allow_connect", "allow_listen"), strict=True):
        text = content(by_nftables(closure), ".nft")
        assert chain(text, name)[0] == "ct direction reply accept"
    everybody = m.Connect("c", peer=m.Peer("any", m.PeerKind.ANY))
    assert chain(rules(everybody), "allow_listen")[0] == "ct direction reply accept"


def test_mapped_addresses_need_the_family_ipv4():
    text = rules(m.Families("f", names=("ipv6", "unix")))
    for name in ("allow_connect", "allow_listen"):
        assert chain(text, name)[1] == 'meta nfproto ipv4 counter goto refuse comment "f"'
    assert "nfproto" not in rules(m.Families("f", names=("ipv4", "ipv6")))
    audit = rules(m.Families("f", names=("ipv6",)), mode=m.Mode.AUDIT)
    assert 'meta nfproto ipv4 counter comment "f"' in audit


def test_limits_of_a_clause_hold_over_all_its_rules():
    clause = m.Connect(
        "c", peer=peer("10.0.0.1", "2001:db8::1"), ports=(m.Port("tcp", 80, 80),), rate=0.5, max_open=10
    )
    text = rules(clause)
    assert text.count("goto limited_0") == 2
    assert text.count('ct state new ct count over 10 counter goto refuse comment "c max_open"') == 1
    assert text.count('ct state new limit rate over 30/minute counter goto refuse comment "c rate"') == 1


def test_resolvers_are_the_hosts_own():
    dns = m.Connect("d", peer=m.Peer("dns", m.PeerKind.DNS))
    text = rules(dns, on=host(resolvers=["192.0.2.1", "2001:db8::53"]))
    assert 'ip daddr { 192.0.2.1 } udp dport { 53 } counter accept comment "d"' in text
    made = by_nftables(*CLOSED, dns, on=host(resolvers=[]))
    assert 'comment "d"' not in content(made, ".nft")
    assert verdict(made, "d").detail == "this host names no resolver, so there is none to allow"


def test_host_names_are_refused():
    made = by_nftables(*CLOSED, m.Connect("n", peer=m.Peer("api.example.com", m.PeerKind.NAME)))
    assert verdict(made, "n").status is Status.REFUSED
    assert "cannot limit connections by host name (n 'api.example.com')" in verdict(made, "n").detail


def test_a_host_that_cannot_match_a_cgroup_refuses_every_network_clause():
    on = host(nft={"present": True, "version": "0.9.8", "socket_cgroupv2": False})
    made = by_nftables(
        *CLOSED, m.Listen("l", port=m.Port("tcp", 80, 80)), m.MaxConnections("x", count=1), on=on
    )
    assert made.artifacts == ()
    assert {item.clause for item in made.verdicts} == {"network.connect", "network.listen", "l", "x"}
    assert all(item.status is Status.REFUSED and "socket cgroupv2" in item.detail for item in made.verdicts)


def test_what_happens_without_the_keeper_is_said():
    made = by_nftables(*CLOSED, m.MaxConnections("x", count=1))
    said = "if root kills the keeper of the rules there are none for about a second"
    assert all(said in verdict(made, name).detail for name in ("network.connect", "network.listen", "x"))


def test_without_internet_families_there_is_no_table():
    made = by_nftables(*CLOSED, m.Families("f", names=("unix",)))
    assert (made.artifacts, made.verdicts) == ((), ())


def test_audit_counts_and_logs_and_never_denies():
    text = rules(
        m.Connect("c", peer=peer("10.0.0.1"), rate=5), m.MaxConnections("x", count=1), mode=m.Mode.AUDIT
    )
    assert not re.search(r"\b(reject|drop|refuse)\b", text)
    assert 'counter comment "network.connect"' in text
    assert 'log prefix "bulkhead demo network.connect: "' in text


def test_what_can_remove_the_rules_makes_them_partial():
    made = by_nftables(*CLOSED, m.Privilege("p", name="configure_network"))
    assert verdict(made, "network.connect").status is Status.PARTIAL
    assert "can remove the rules" in verdict(made, "network.connect").detail


def test_sockets_handed_in_are_said():
    on = host()
    on.data["unit"]["triggered_by"] = ["demo.socket"]
    assert "sockets that demo.socket opens" in verdict(by_nftables(*CLOSED, on=on), "network.listen").detail


def test_the_keeper_loads_before_the_application_and_owns_the_table():
    made = by_nftables(*CLOSED)
    lines = content(made, "bulkhead-net-demo.service").split("\n")
    for line in (
        "Before=demo.service network-pre.target shutdown.target",
        "ExecStart=/bin/sh -c 'exec /usr/sbin/nft -i 0<>\"$$1\"' 'sh' '/run/bulkhead-net-demo/commands'",
        "Restart=always",
    ):
        assert line in lines
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    for key in ("ExecReload", "ExecStartPost"):
        assert found[key].endswith(
            "'include \"/etc/bulkhead/nft/demo.nft\"' '/run/bulkhead-net-demo/commands' 'bulkhead_demo'"
        )
    assert not any(key in found for key in ("PartOf", "ReloadPropagatedFrom"))  # nothing of others flushes it
    assert made.units == ("bulkhead-net-demo.service",)


def test_every_rule_of_a_clause_is_read_back():
    made = by_nftables(*CLOSED, m.Listen("l", port=m.Port("tcp", 80, 80)))
    comments = set(re.findall(r'comment "([^"]+)"', content(made, ".nft")))
    assert {item.value for item in made.readbacks if item.kind == "nft_rule"} == comments
    assert ("slice_match", "bulkhead.slice/bulkhead-demo.slice") in {
        (r.kind, r.value) for r in made.readbacks
    }


@given(st.text(st.one_of(st.sampled_from('"\\{};#\n$ a'), st.characters()), max_size=200))
@settings(deadline=None)
def test_no_clause_id_adds_a_rule(text):
    calm = rules(m.Listen("l", port=m.Port("tcp", 80, 80)))
    made = rules(m.Listen("l" + text, port=m.Port("tcp", 80, 80)))
    assert made.count("\n") == calm.count("\n")
    assert len(re.findall(r'"[^"\n]*"', made)) == made.count('"') / 2 == calm.count('"') / 2
    assert re.sub(r'"[^"\n]*"', "", made) == re.sub(r'"[^"\n]*"', "", calm)
    assert all(len(quoted.encode()) <= 129 for quoted in re.findall(r'"[^"\n]*"', made))


@pytest.mark.parametrize("name", ["php-fpm", "php_fpm"])
def test_a_dash_in_the_name_does_not_nest_the_slice(name):
    from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.linux_names import slice_path

    assert slice_path(name).count("-") == 1
    assert slice_path("php-fpm") != slice_path("php_fpm")
