# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows Firewall: rules of one service, as a data document with the parameter names of New-NetFirewallRule.

Outbound traffic is allowed unless a rule blocks it, and a block rule beats every allow rule. So what may not
be reached is written out as block rules, exact to address and port; no default of the machine is changed.
The rules name the service, not its program: children that run another program keep the service's SID.
"""

from __future__ import annotations

from typing import Any

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
    PeerKind,
)
from .base import Artifact, BackendError, Compilation, Features, Grade, Support
from .collect import Collector
from .spans import (
    LAST,
    PORTS,
    Span,
    Spans,
    address_text,
    addresses,
    complement,
    merge,
    port_text,
    segments,
)
from .win_names import document, file_of, lines_of, service_of

NAME = "win_firewall"
PLATFORM = OS.WINDOWS

PROTOCOLS = ("tcp", "udp")
# With ``::``, which nothing can be sent to: a rule for that one address would be of no use.
LOOPBACK = {4: "127.0.0.0/8", 6: "::/127"}

_RULES = "Windows Firewall rules of the service"
_LOOPBACK = "the firewall does not filter loopback"

SUPPORT: dict[type[Clause], Support] = {
    ListenClosure: Support(
        Grade.COARSER,
        _RULES,
        "6.2",
        f"a port can still be opened, but nothing from outside gets to it; {_LOOPBACK}",
    ),
    Listen: Support(Grade.EXACT, _RULES, "6.2"),
    ConnectClosure: Support(
        Grade.COARSER,
        _RULES,
        "6.2",
        f"TCP, UDP and ICMP; {_LOOPBACK}; the DNS Client service, which looks names up, is not confined",
    ),
    Connect: Support(Grade.COARSER, _RULES, "6.2", "host names, rates and counts of connections"),
    Families: Support(
        Grade.COARSER, _RULES, "6.2", "sockets of other families can be made; only IPv4 and IPv6 are filtered"
    ),
    MaxConnections: Support(Grade.NEVER, "", missing="Windows Firewall cannot count connections"),
}


def compile(manifest: Manifest, features: Features) -> Compilation:  # noqa: ARG001
    """Render ``firewall.json`` and the verdicts. Same manifest, same bytes; the features do not matter."""
    collector = Collector(manifest, OS.WINDOWS, SUPPORT)
    reachable: dict[tuple[str, int], dict[Span, Spans]] = {}
    named = manifest.of(Families)
    versions = [version for version in (4, 6) if all(f"ipv{version}" in clause.names for clause in named)]

    def connect(clause: Connect) -> None:
        spans = {version: _peer(clause, version) for version in (4, 6)}
        wanted = [(port.protocol, (port.first, port.last)) for port in clause.ports]
        for protocol, _unused in wanted:
            _check(protocol, clause)
        for protocol, span in wanted or [(protocol, PORTS) for protocol in PROTOCOLS]:
            for version in versions:
                table = reachable.setdefault((protocol, version), {})
                table[span] = merge((*table.get(span, ()), *spans[version]))
        _say_connect(collector, clause)

    def closure(clause: Clause) -> None:
        if collector.audit:
            collector.unaudited(clause, "the firewall has no rule that only logs")
        else:
            collector.partial(clause, SUPPORT[type(clause)].missing)

    def listen(clause: Listen) -> None:
        _check(clause.port.protocol, clause)
        collector.enforced(clause)

    collector.run(
        {ListenClosure: closure, ConnectClosure: closure, Families: closure, Listen: listen, Connect: connect}
    )
    rules = _inbound(manifest, versions, collector.audit)
    if not collector.audit:
        rules += _outbound(reachable)
    service, path = service_of(manifest), file_of(manifest, "firewall.json")
    for number, rule in enumerate(rules, start=1):
        rule |= {
            "Name": f"bulkhead-{manifest.policy}-{number:03}",
            "Group": f"Bulkhead {manifest.policy}",
            "Service": service,
            "Profile": "Any",
            "Enabled": "True",
        }
    content = document({"format": 1, "kind": "firewall_rules", "service": service, "rules": rules})
    artifact = Artifact(
        path, content, "powershell_data", owner="SYSTEM", group="SYSTEM", lines=lines_of(content)
    )
    return Compilation((artifact,), collector.verdicts())


def _check(protocol: str, clause: Clause) -> None:
    if protocol not in PROTOCOLS:
        raise BackendError(f"Windows Firewall rules carry TCP and UDP ports, not {protocol!r} ({clause.id}).")


def _peer(clause: Connect, version: int) -> Spans:
    kind = clause.peer.kind
    if kind is PeerKind.NAME:
        raise BackendError(
            f"Windows Firewall has no host names ({clause.id} {clause.peer.text!r}): write addresses."
        )
    if kind is PeerKind.ANY:
        return ((0, LAST[version]),)
    return addresses(clause.peer.addresses, version) if kind is PeerKind.ADDRESSES else ()


def _say_connect(collector: Collector, clause: Connect) -> None:
    missing = []
    if clause.peer.kind is PeerKind.LOOPBACK:
        missing.append(f"{_LOOPBACK}: every local port can be reached")
    if clause.peer.kind is PeerKind.DNS:
        missing.append(
            "lookups go through the DNS Client service, for every name; packets that the application itself "
            "sends to a resolver are blocked"
        )
    missing += ["the rate is not limited"] if clause.rate is not None else []
    missing += ["the number of open connections is not limited"] if clause.max_open is not None else []
    if missing:
        collector.partial(clause, "; ".join(missing))
    else:
        collector.enforced(clause)


def _rule(direction: str, action: str, protocol: str, clause: str, **more: Any) -> dict[str, Any]:
    return {"Direction": direction, "Action": action, "Protocol": protocol.upper(), "clause": clause, **more}


def _inbound(manifest: Manifest, versions: list[int], audit: bool) -> list[dict[str, Any]]:
    rules = []
    heard: dict[str, list[Span]] = {protocol: [] for protocol in PROTOCOLS}
    for clause in sorted(manifest.of(Listen), key=lambda item: (item.id, item.port)):
        if (port := clause.port).protocol in heard:
            span = (port.first, port.last)
            heard[port.protocol].append(span)
            rules.append(_rule("Inbound", "Allow", port.protocol, clause.id, LocalPort=[port_text(span)]))
    if audit:
        return rules
    for protocol, spans in heard.items():
        if closed := complement(spans, PORTS[1]):
            ports = [port_text(span) for span in closed]
            rules.append(_rule("Inbound", "Block", protocol, "network.listen", LocalPort=ports))
        for version in (4, 6):
            if version not in versions:
                every = [address_text((0, LAST[version]), version)]
                rules.append(_rule("Inbound", "Block", protocol, "network.families", RemoteAddress=every))
    return rules


def _outbound(reachable: dict[tuple[str, int], dict[Span, Spans]]) -> list[dict[str, Any]]:
    rules = []
    for protocol in PROTOCOLS:
        for version in (4, 6):
            for open_to, ports in sorted(segments(reachable.get((protocol, version), {})).items()):
                # Loopback passes anyway; a rule that names it would promise what it cannot keep.
                blocked = complement((*open_to, *addresses([LOOPBACK[version]], version)), LAST[version])
                if blocked:
                    rules.append(
                        _rule(
                            "Outbound",
                            "Block",
                            protocol,
                            "network.connect",
                            RemotePort=[port_text(span) for span in ports],
                            RemoteAddress=[address_text(span, version) for span in blocked],
                        )
                    )
    # The policy has no word for ICMP, so nothing allows it.
    rules += [
        {"Direction": "Outbound", "Action": "Block", "Protocol": name, "clause": "network.connect"}
        for name in ("ICMPv4", "ICMPv6")
    ]
    return rules
