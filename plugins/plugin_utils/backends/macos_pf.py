# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pf: the packet filter narrows a daemon's peers to addresses, by the account that owns the socket.

The rules only ever block: none of them lets through what another rule of the host stops. They hold while pf
is on, and as long as no rule before the anchor passes the packet with ``quick``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from ..policy.model import OS, Clause, Connect, ConnectClosure, Listen, Manifest, PeerKind
from .base import Artifact, BackendError, Compilation, Features, Grade, Support
from .collect import UNSEEN, Collector
from .macos_names import SHARED_ACCOUNTS, account_of, internet_versions, label_of, needs_packet_filter
from .spans import LAST, PORTS, Span, Spans, addresses, complement, merge, segments

NAME = "macos_pf"
PLATFORM = OS.MACOS

_MECHANISM = "pf anchor by account"
_MISSING = f"pf has to be on and to reach the anchor, root can change it; {UNSEEN}"

SUPPORT: dict[type[Clause], Support] = {
    ConnectClosure: Support(Grade.COARSER, _MECHANISM, "14", _MISSING),
    Connect: Support(Grade.COARSER, _MECHANISM, "14", f"addresses only; {_MISSING}"),
}

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9._-]*")


def word(value: str) -> str:
    """A name in pf.conf(5). It has no way to quote one, so only plain words are let through."""
    if not _WORD.fullmatch(value):
        raise BackendError(
            f"{value!r} cannot be written in pf's rules: write letters, digits, '.', '-' and '_'."
        )
    return value


def compile(manifest: Manifest, features: Features) -> Compilation:  # noqa: ARG001
    """Render the anchor where a peer of the policy is made of addresses; else nothing, and no verdict."""
    collector = Collector(manifest, OS.MACOS, SUPPORT)
    account = account_of(manifest)
    narrowed = [clause for clause in manifest.of(Connect) if needs_packet_filter(clause)]
    if not narrowed or account in SHARED_ACCOUNTS:
        return Compilation()
    for clause in (*manifest.of(ConnectClosure), *narrowed):
        if collector.audit:
            collector.unaudited(clause)
        else:
            collector.partial(clause, _MISSING)
    if collector.audit:
        return Compilation((), collector.verdicts())
    lines = ["# Made by Bulkhead; changes are lost when the policy is applied again."]
    lines += _rules(manifest, word(account))
    label = label_of(manifest)
    content = "".join(line + "\n" for line in lines).encode("ascii")
    owned = tuple((number, "network.connect") for number in range(2, len(lines) + 1))
    artifact = Artifact(f"/etc/pf.anchors/{label}", content, "pf", group="wheel", unit=label, lines=owned)
    return Compilation((artifact,), collector.verdicts())


def _rules(manifest: Manifest, account: str) -> list[str]:
    """Tables first, then rules: pf.conf(5) wants this order."""
    tables: list[str] = []
    blocks: list[str] = []
    for protocol in ("tcp", "udp"):
        for version in (4, 6):
            for open_to, ports in sorted(segments(_reachable(manifest, protocol, version)).items()):
                if open_to == ((0, LAST[version]),):
                    continue
                to = "any"
                if open_to:
                    name = f"bulkhead{len(tables)}"
                    tables.append(f"table <{name}> const {{ {', '.join(_networks(open_to, version))} }}")
                    to = f"! <{name}>"
                for source in _sources(manifest, protocol):
                    # For TCP only the opening of a connection counts: answers of our own listener must pass.
                    flags = " flags S/SA" if protocol == "tcp" else ""
                    family = "inet" if version == 4 else "inet6"
                    blocks.append(
                        f"block return out quick on ! lo0 {family} proto {protocol} from any{source} to {to}"
                        f"{_port(ports)} user {account}{flags}"
                    )
    return tables + blocks


def _reachable(manifest: Manifest, protocol: str, version: int) -> dict[Span, Spans]:
    """Which addresses each port may be reached at. Loopback is left to the profile."""
    table: dict[Span, Spans] = {}
    if version not in internet_versions(manifest):
        return table
    for clause in manifest.of(Connect):
        spans: Spans = ()
        if clause.peer.kind is PeerKind.ANY:
            spans = ((0, LAST[version]),)
        elif clause.peer.kind is PeerKind.ADDRESSES:
            spans = addresses(clause.peer.addresses, version)
        wanted = [(port.first, port.last) for port in clause.ports if port.protocol == protocol]
        for span in wanted or ([] if clause.ports else [PORTS]):
            table[span] = merge((*table.get(span, ()), *spans))
    return table


def _sources(manifest: Manifest, protocol: str) -> list[str]:
    """Source ports that a block covers. UDP answers leave from the port that the daemon listens on."""
    heard = [
        (item.port.first, item.port.last) for item in manifest.of(Listen) if item.port.protocol == protocol
    ]
    if protocol == "tcp" or not heard:
        return [""]
    left = complement(heard, PORTS[1])
    return [_port(left)] if left else []


def _port(spans: Spans) -> str:
    if spans == (PORTS,):
        return ""
    texts = [str(first) if first == last else f"{first}:{last}" for first, last in spans]
    return f" port {{ {', '.join(texts)} }}"


def _networks(spans: Spans, version: int) -> Iterable[str]:
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    for first, last in spans:
        yield from (str(network) for network in ipaddress.summarize_address_range(kind(first), kind(last)))
