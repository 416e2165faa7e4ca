# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who carries the network clauses on a host: the packet filter, the address families, or nobody."""

from __future__ import annotations

from ..policy.model import Connect, ConnectClosure, Families, Listen, ListenClosure, Manifest, PeerKind
from .linux_host import Host

LOOPBACK = ("127.0.0.0/8", "::1/128")
# ip_mc_join_group(): the report belongs to no socket, so neither a rule nor a cgroup's program can tell whose it is.
ANNOUNCED = "joining a multicast group makes the kernel itself tell the link so (IGMP, MLD)"


def offline(manifest: Manifest) -> bool:
    """The policy grants neither internet family: no socket of that kind can be made at all."""
    families = manifest.of(Families)
    return bool(families) and not {"ipv4", "ipv6"} & set(families[0].names)


def filtered(manifest: Manifest, host: Host) -> bool:
    """The packet filter carries the network clauses, by a slice of the policy's own."""
    closed = bool(manifest.of(ConnectClosure)) or bool(manifest.of(ListenClosure))
    return closed and host.nft_by_cgroup and not offline(manifest)


def binds_filtered(manifest: Manifest, host: Host) -> bool:
    """bind() itself is refused for other ports, where the build has BPF: elsewhere the directive does nothing."""
    if not manifest.of(ListenClosure) or not host.filters_bpf or not filtered(manifest, host):
        return False
    if not manifest.of(Listen) and host.systemd < 256:
        return False  # before 2024 a deny without any allow let everything pass
    # It would also refuse bind() to port 0, which clients of UDP do.
    return not any(
        clause.peer.kind is PeerKind.DNS
        or not clause.ports
        or any(port.protocol == "udp" for port in clause.ports)
        for clause in manifest.of(Connect)
    )


def addresses(clause: Connect, host: Host) -> tuple[str, ...] | None:
    """The peer's addresses as CIDR strings; None where it is everybody or only a name."""
    if clause.peer.kind is PeerKind.ADDRESSES:
        return clause.peer.addresses
    if clause.peer.kind is PeerKind.LOOPBACK:
        return LOOPBACK
    if clause.peer.kind is PeerKind.DNS:
        return host.resolvers
    return None


def all_addresses(manifest: Manifest, host: Host) -> tuple[str, ...] | None:
    """Every address that the policy's traffic may have. None where that is not a list: somebody may connect in,
    or a peer is everybody."""
    if manifest.of(Listen):
        return None
    found: set[str] = set()
    for clause in manifest.of(Connect):
        known = addresses(clause, host)
        if known is None:
            return None
        found |= set(known)
    return tuple(sorted(found))
