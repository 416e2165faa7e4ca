# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sockets in a sandbox profile: filters for ports and peers, and what they leave open."""

from __future__ import annotations

from ..policy.model import Clause, Connect, PeerKind, Port
from .base import BackendError
from .macos_names import SHARED_ACCOUNTS, needs_packet_filter
from .macos_sandbox_table import EXPANDED_PORTS
from .macos_sbpl import literal, quote

RESOLVER = "/private/var/run/mDNSResponder"


def connection(clause: Connect, account: str) -> tuple[tuple[str, ...], list[str]]:
    """Filters of ``network-outbound`` for a peer, and what is missing. Raises ``BackendError`` for what it cannot say.

    ``account`` is the daemon's: the packet filter tells daemons apart by it.
    """
    missing = [] if clause.rate is None else ["the rate is not limited"]
    missing += [] if clause.max_open is None else ["the number of open connections is not limited"]
    kind, peer = clause.peer.kind, clause.peer.text
    if kind is PeerKind.NAME:
        raise BackendError(f"A sandbox profile has no host names ({clause.id} {peer!r}): write addresses.")
    if kind is PeerKind.DNS:
        missing.append(
            "lookups go through mDNSResponder, for every name; packets that the daemon itself sends to a "
            "resolver are denied"
        )
        return (literal(RESOLVER),), missing
    host = "*" if kind is PeerKind.ANY else "localhost"
    if needs_packet_filter(clause):
        if account in SHARED_ACCOUNTS:
            raise BackendError(
                f"A sandbox profile has no addresses but localhost ({clause.id} {peer!r}); the packet filter can "
                "tell daemons apart by their account only: give the daemon an account of its own "
                "(workload.macos.user)."
            )
        host = "*"
        missing.append("the profile opens the port to every address; the packet filter narrows it")
    ports = clause.ports or (Port("tcp", 0, 65535), Port("udp", 0, 65535))
    return tuple(f"(remote {text})" for port in ports for text in sockets(port, host, clause)), missing


def sockets(port: Port, host: str, clause: Clause) -> list[str]:
    """``tcp "*:80"`` for a port. Profiles have single ports or all; a short range is written out."""
    if port.protocol not in ("tcp", "udp"):
        raise BackendError(
            f"A sandbox profile carries TCP and UDP ports, not {port.protocol!r} ({clause.id})."
        )
    if (port.first, port.last) == (0, 65535):
        return [f"{port.protocol} {quote(host + ':*')}"]
    if port.last - port.first >= EXPANDED_PORTS:
        raise BackendError(
            f"A sandbox profile has no port ranges ({clause.id} '{port}'): write {EXPANDED_PORTS} or fewer."
        )
    return [f"{port.protocol} {quote(f'{host}:{number}')}" for number in range(port.first, port.last + 1)]
