# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is at the other end of a connection: addresses, networks, inventory groups and a few words."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from .faults import Refusal, did_you_mean, quote
from .model import Peer, PeerKind

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_WORDS = {"any": PeerKind.ANY, "loopback": PeerKind.LOOPBACK, "dns": PeerKind.DNS}
# RFC 1123, section 2.1; the last label holds a letter, so that 300.1.1.1 is a bad address and no name.
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"({_LABEL}\.)*(?=[A-Za-z0-9-]*[A-Za-z]){_LABEL}")


@lru_cache(maxsize=65536)
def parsed(text: str) -> Network:
    """An address, or a network less its bits below the mask. Raises ``ValueError`` where ``text`` is neither."""
    return ipaddress.ip_network(text, strict=False)


def peer(text: str, groups: Mapping[str, Sequence[str]]) -> Peer:
    """Resolve a peer as written. ``groups`` maps an inventory group to the addresses of its hosts.

    Raises Refusal for an unknown or empty group, a network with host bits, and what is no peer at all.
    """
    if text in _WORDS:
        return Peer(text, _WORDS[text])
    if text.startswith("group:"):
        return Peer(text, PeerKind.ADDRESSES, _group(text.removeprefix("group:"), groups))
    if re.fullmatch(r"[0-9./]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:./]*(%.*)?", text):
        return Peer(text, PeerKind.ADDRESSES, (str(network(text)),))
    if len(text) <= 253 and _HOST.fullmatch(text):
        return Peer(text, PeerKind.NAME)
    fix = "write an address, a network, group:NAME, dns, loopback, any or a host name"
    raise Refusal(f"{quote(text)} is no peer.", fix if text != "*" else "write any")


def network(text: str) -> Network:
    """A canonical network of an address or a network; a single address has the full prefix length."""
    if "%" in text:
        raise Refusal(f"{quote(text)} names an interface.", "write the address without '%'")
    try:
        found = ipaddress.ip_network(text, strict=False)
        strict = ipaddress.ip_network(text, strict=True) if "/" in text else found
    except ValueError:
        if _parses(text):
            bare = text.partition("/")[0]
            loose = ipaddress.ip_network(text, strict=False)
            message = f"the network {quote(text)} has bits set behind its prefix length."
            raise Refusal(message, f"write '{loose}' for the network or '{bare}' for the host") from None
        raise Refusal(
            f"{quote(text)} is no address.",
            "write an address such as 10.20.0.5, or a network such as 10.20.0.0/16",
        ) from None
    if isinstance(strict, ipaddress.IPv6Network):
        mapped = strict.network_address.ipv4_mapped
        if mapped is not None:
            raise Refusal(f"{quote(text)} is an IPv4 address written as IPv6.", f"write '{mapped}'")
    return strict


def _parses(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _group(name: str, groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    if name not in groups:
        fix = did_you_mean(name, groups, "groups of the inventory") or "give an inventory that has this group"
        raise Refusal(f"the inventory has no group {quote(name)}.", fix)
    if not groups[name]:
        raise Refusal(f"the group {quote(name)} is empty.", "add a host to the group, or remove the peer")
    found: list[Network] = []
    for item in groups[name]:
        try:
            found.append(network(str(item)))
        except Refusal as refusal:
            message = f"the group {quote(name)} has {quote(item)}, which is no address."
            raise Refusal(message, "set the host's address in the inventory") from refusal
    return canonical(found)


def canonical(networks: Iterable[Network]) -> tuple[str, ...]:
    """Sorted, without duplicates and without networks inside others: packet filters refuse overlaps."""
    four = [n for n in networks if isinstance(n, ipaddress.IPv4Network)]
    six = [n for n in networks if isinstance(n, ipaddress.IPv6Network)]
    return (*map(str, ipaddress.collapse_addresses(four)), *map(str, ipaddress.collapse_addresses(six)))
