# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nftables backend: one table per policy, matched by the policy's own slice (nft(8), SOCKET EXPRESSION).

A service's own cgroup gets a new inode with every restart and the match goes stale: all traffic would pass. The
slice keeps its inode, so the rules hold over restarts. The application requires the unit that loads the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..policy.model import (
    OS,
    Clause,
    Connect,
    ConnectClosure,
    Families,
    Listen,
    ListenClosure,
    Manifest,
    MaxConnections,
    Mode,
    PeerKind,
    Port,
    Privilege,
)
from .base import Artifact, BackendError, Compilation, Features, Grade, ReadBack, Status, Support, Verdict
from .linux_host import Host
from .linux_names import net_unit, rules_path, slice_path, table_name
from .linux_network import ANNOUNCED, addresses, binds_filtered, filtered, offline
from .nftables_text import Rules, destinations, label, ports, quote, rate
from .nftables_units import net_service, slice_unit

NAME = "nftables"
PLATFORM = OS.LINUX

_SINCE = "1.0.6"
SUPPORT: dict[type[Clause], Support] = {
    ConnectClosure: Support(
        Grade.COARSER, "output chain by slice", _SINCE, "membership reports of multicast groups that it joins"
    ),
    Connect: Support(Grade.EXACT, "output chain by slice", _SINCE, "no host names"),
    ListenClosure: Support(
        Grade.COARSER, "input chain by slice", _SINCE, "bind() and listen() succeed, but no packet arrives"
    ),
    Listen: Support(Grade.EXACT, "input chain by slice", _SINCE),
    MaxConnections: Support(Grade.EXACT, "input chain by slice, ct count", _SINCE, "TCP only"),
}

_DNS = (Port("tcp", 53, 53), Port("udp", 53, 53))
# What the input hook finds no socket for, or the wrong one (nft_socket.c).
UNMATCHED = (
    "packets of UDP-Lite, SCTP and DCCP are not matched when they arrive, nor is a datagram to a group or broadcast "
    "address where a program outside shares the port"
)
# The table goes with the process that owns it; systemd starts that anew, and fetches the rules from disk again.
UNKEPT = "if root kills the keeper of the rules there are none for about a second, until systemd has started it again"
_NO_MATCH = (
    "this host's nftables cannot match a service's cgroup ('socket cgroupv2'), which rules for one service need: "
    "install nftables 1.0 or newer on a kernel with cgroup v2"
)


class _Table:
    """The table of one policy while it is compiled."""

    def __init__(self, manifest: Manifest, host: Host) -> None:
        self.manifest = manifest
        self.host = host
        self.audit = manifest.mode is Mode.AUDIT
        self.rules = Rules()
        self.comments: list[tuple[str, str]] = []
        self.verdicts: list[Verdict] = []
        self.chains: list[tuple[str, Connect, str]] = []

    def say(self, clause: Clause, status: Status, detail: str = "") -> None:
        if self.audit:
            status, detail = (
                Status.PARTIAL,
                "; ".join(("audit: logged and counted, not denied", detail)).rstrip("; "),
            )
        support = SUPPORT[type(clause)]
        mechanisms = () if status is Status.REFUSED else (f"nftables {support.mechanism}",)
        self.verdicts.append(Verdict(clause.id, status, mechanisms, detail))

    def rule(self, clause: str, *parts: str, suffix: str = "") -> None:
        comment = label(clause, suffix)
        self.comments.append((clause, comment))
        self.rules.rule(*parts, clause=clause, comment=comment)

    def deny(self, clause: str, *match: str, suffix: str = "") -> None:
        """Refuse what matches, counted and logged; in audit mode only count and log it, and go on."""
        prefix = label(f"bulkhead {self.manifest.policy} {clause}", f"{suffix}: ")
        parts = [
            *match,
            "limit rate 5/second burst 10 packets",
            f"log prefix {quote(prefix, clause)} flags skuid",
        ]
        self.rules.line(" ".join(part for part in parts if part), clause, 2)
        self.rule(clause, *match, "counter", "" if self.audit else "goto refuse", suffix=suffix)


def compile(manifest: Manifest, features: Features) -> Compilation:
    """The table, its slice and the unit that loads it; nothing where the policy has no internet family."""
    host = Host(manifest, features)
    if offline(manifest):
        return _without(manifest, "")
    if not filtered(manifest, host):
        return _without(manifest, _NO_MATCH)
    table = _Table(manifest, host)
    outgoing = _outgoing(table)
    incoming = _incoming(table)
    _write(table, outgoing, incoming)
    policy = manifest.policy
    unit = net_unit(policy)
    closure = (*manifest.of(ConnectClosure), *manifest.of(ListenClosure))[0].id
    readbacks = [
        ReadBack(closure, "unit_state", unit, "active", unit=unit),
        ReadBack(closure, "slice_match", table_name(policy), slice_path(policy), unit=unit),
        *(
            ReadBack(clause, "nft_rule", table_name(policy), text, unit=unit)
            for clause, text in table.comments
        ),
    ]
    return Compilation(
        artifacts=(
            slice_unit(policy, closure),
            Artifact(
                rules_path(policy),
                table.rules.render(),
                "nftables",
                unit=unit,
                lines=tuple(table.rules.owners),
            ),
            net_service(policy, host.unit, closure),
        ),
        verdicts=tuple(sorted(table.verdicts, key=lambda verdict: verdict.clause)),
        readbacks=tuple(readbacks),
        units=(unit,),
    )


def _without(manifest: Manifest, reason: str) -> Compilation:
    """No table. ``reason`` refuses every clause that needed one; without internet families systemd has them all."""
    clauses = [clause for kind in SUPPORT for clause in manifest.of(kind)]
    if reason:
        return Compilation(
            verdicts=tuple(Verdict(clause.id, Status.REFUSED, (), reason) for clause in clauses)
        )
    limits = manifest.of(MaxConnections)
    detail = "no internet family is granted, so there is nothing to count; UNIX sockets are not counted"
    return Compilation(
        verdicts=tuple(Verdict(clause.id, Status.PARTIAL, ("none",), detail) for clause in limits)
    )


def _outgoing(table: _Table) -> list[tuple[Connect, list[str]]]:
    """Matches of every connect clause, and their verdicts."""
    found: list[tuple[Connect, list[str]]] = []
    for clause in table.manifest.of(Connect):
        try:
            found.append((clause, _matches(clause, table.host)))
        except BackendError as error:
            table.say(clause, Status.REFUSED, str(error))
            continue
        nobody = clause.peer.kind is PeerKind.DNS and not table.host.resolvers
        table.say(
            clause,
            Status.ENFORCED,
            "this host names no resolver, so there is none to allow" if nobody else "",
        )
    privileges = {privilege.name for privilege in table.manifest.of(Privilege)}
    missing = [*_undone_by(privileges), ANNOUNCED, UNKEPT]
    if table.host.sockets:
        # A listening socket can be given up and connected (connect(2)); one for datagrams sends to anybody.
        missing.append(
            f"sockets that {', '.join(table.host.sockets)} opens belong to its cgroup: what leaves by them is not "
            "matched"
        )
    for closure in table.manifest.of(ConnectClosure):
        table.say(closure, Status.PARTIAL, "; ".join(missing))
    return found


def _undone_by(privileges: set[str]) -> list[str]:
    missing = []
    if privileges & {"configure_network", "administer_system"}:
        missing.append("a process with the privilege configure_network can remove the rules")
    if "raw_network" in privileges:
        missing.append("packets that the privilege raw_network sends past the IP layer are not filtered")
    return missing


def _matches(clause: Connect, host: Host, replies: bool = False) -> list[str]:
    """Packets to the peer, or the peer's ``replies``."""
    if clause.peer.kind is PeerKind.NAME:
        raise BackendError(
            f"nftables cannot limit connections by host name ({clause.id} '{clause.peer.text}'): name its "
            "addresses or a group."
        )
    wanted = clause.ports or (_DNS if clause.peer.kind is PeerKind.DNS else ())
    return [
        " ".join(part for part in (to, port) if part)
        for to in destinations(addresses(clause, host), clause.id, "saddr" if replies else "daddr")
        for port in ports(wanted, clause.id, "sport" if replies else "dport")
    ]


def _incoming(table: _Table) -> list[tuple[Listen, list[str]]]:
    found: list[tuple[Listen, list[str]]] = []
    for clause in table.manifest.of(Listen):
        try:
            found.append((clause, list(ports((clause.port,), clause.id))))
        except BackendError as error:
            table.say(clause, Status.REFUSED, str(error))
            continue
        table.say(clause, Status.ENFORCED)
    # systemd 257 was seen to lose SocketBindDeny= with a daemon-reload.
    when = " after the next daemon-reload" if binds_filtered(table.manifest, table.host) else ""
    missing = [
        f"bind() and listen() of another port succeed{when}, but no packet arrives there",
        UNMATCHED,
        UNKEPT,
    ]
    if table.host.sockets:
        missing.append(
            f"sockets that {', '.join(table.host.sockets)} opens belong to its cgroup and are not matched"
        )
    for closure in table.manifest.of(ListenClosure):
        table.say(closure, Status.PARTIAL, "; ".join(missing))
    for limit in table.manifest.of(MaxConnections):
        table.say(limit, Status.ENFORCED, f"TCP connections of all listeners together; {UNKEPT}")
    return found


def _write(
    table: _Table, outgoing: list[tuple[Connect, list[str]]], incoming: list[tuple[Listen, list[str]]]
) -> None:
    policy = table.manifest.policy
    name, line = table_name(policy), table.rules.line
    line(f"# Managed by Bulkhead: policy {policy}")
    # One transaction: the old table, if any, goes and the new one comes without a packet between.
    line(f"table inet {name} {{ flags owner; }}")
    line(f"delete table inet {name}")
    line(f"table inet {name} {{")
    line("flags owner", depth=1)
    if not table.audit:
        line("chain refuse {", depth=1)
        line("meta l4proto tcp reject with tcp reset", depth=2)
        line("reject with icmpx type port-unreachable", depth=2)
        line("}", depth=1)
    connects, listens = table.manifest.of(ConnectClosure), table.manifest.of(ListenClosure)
    limited = {
        clause.id: f"limited_{n}"
        for n, (clause, _unused) in enumerate(outgoing)
        if clause.rate or clause.max_open
    }
    for clause, _unused in outgoing:
        if clause.id in limited:
            _limited_chain(table, clause, limited[clause.id])
    if connects:
        line("chain allow_connect {", depth=1)
        _only_granted_families(table)
        _replies(
            table,
            {clause.id: ports((clause.port,), clause.id, "sport") for clause, _unused in incoming},
            listens,
        )
        for clause, matches in outgoing:
            for match in matches:
                table.rule(
                    clause.id,
                    match,
                    f"goto {limited[clause.id]}" if clause.id in limited else "counter accept",
                )
        table.deny(connects[0].id)
        line("}", depth=1)
    if listens:
        line("chain allow_listen {", depth=1)
        _only_granted_families(table)
        _replies(
            table, {clause.id: _matches(clause, table.host, True) for clause, _unused in outgoing}, connects
        )
        # Errors and resets carry no data to the service; our own refusals come to it as such.
        line("meta l4proto { icmp, ipv6-icmp } ct state related accept", depth=2)
        line("ct direction reply tcp flags & rst == rst accept", depth=2)
        for limit in table.manifest.of(MaxConnections):
            table.deny(limit.id, f"meta l4proto tcp ct state new ct count over {limit.count}")
        for listen, matches in incoming:
            for match in matches:
                table.rule(listen.id, match, "counter accept")
        table.deny(listens[0].id)
        line("}", depth=1)
    path = quote(slice_path(policy), policy)
    for hook, chain, present in (("output", "allow_connect", connects), ("input", "allow_listen", listens)):
        if present:
            line(f"chain {hook} {{", depth=1)
            line(f"type filter hook {hook} priority 0; policy accept;", depth=2)
            line(f"socket cgroupv2 level 2 {path} goto {chain}", present[0].id, 2)
            line("}", depth=1)
    line("}")


def _replies(table: _Table, granted: Mapping[str, Iterable[str]], closed: Sequence[Clause]) -> None:
    """Answers pass where the flow itself is granted, which may have begun before these rules did.

    "Reply" alone says too little: a datagram that arrived at a port while nobody had it open makes a flow of the
    kernel's own, and whoever binds that port later would answer by it. Not ``closed``: every flow is granted.
    """
    if not closed:
        table.rules.line("ct direction reply accept", depth=2)
        return
    for clause, matches in granted.items():
        for match in matches:
            table.rules.line(" ".join(filter(None, ("ct direction reply", match, "accept"))), clause, 2)


def _only_granted_families(table: _Table) -> None:
    """IPv4 leaves and arrives by sockets of IPv6 as well, as mapped addresses (ipv6(7))."""
    for families in table.manifest.of(Families):
        if "ipv4" not in families.names:
            table.deny(families.id, "meta nfproto ipv4")


def _limited_chain(table: _Table, clause: Connect, chain: str) -> None:
    """All matches of one clause share one rate and one count, whatever their families and protocols."""
    table.rules.line(f"chain {chain} {{", depth=1)
    if clause.max_open:
        table.deny(clause.id, f"ct state new ct count over {clause.max_open}", suffix=" max_open")
    if clause.rate:
        table.deny(clause.id, f"ct state new limit rate over {rate(clause.rate, clause.id)}", suffix=" rate")
    table.rules.line("counter accept", clause.id, 2)
    table.rules.line("}", depth=1)
