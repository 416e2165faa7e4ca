# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of nftables rules: the one quoting function, canonical sets, and rules that know their clause (nft(8))."""

from __future__ import annotations

import hashlib
import ipaddress
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from ..policy import peers
from ..policy.model import Port
from .base import BackendError

COMMENT_BYTES = 127  # libnftnl and the kernel's log prefix hold 128 with the closing zero byte


def quote(text: str, clause: str) -> str:
    """``text`` as a quoted string. nft knows no escapes inside of quotes, so a quote mark is refused.

    Raises BackendError for control characters, quote marks and more than 127 bytes.
    """
    for char in text:
        if char == '"' or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
            raise BackendError(
                f"{text!r} holds {char!r}, which no string of nftables can carry ({clause}): leave it out."
            )
    if len(text.encode()) > COMMENT_BYTES:
        raise BackendError(
            f"'{text}' is longer than the {COMMENT_BYTES} bytes that nftables keeps ({clause}): shorten it."
        )
    return f'"{text}"'


def label(clause: str, suffix: str = "") -> str:
    """A clause id as a comment that always fits: what cannot stand there is cut and told apart by a digest."""
    text = clause + suffix
    try:
        quote(text, clause)
    except BackendError:
        safe = "".join(
            char if char.isascii() and char.isprintable() and char != '"' else "?" for char in clause
        )
        digest = hashlib.sha256(clause.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return f"{safe[: COMMENT_BYTES - len(suffix) - 14]}#{digest}{suffix}"
    return text


def destinations(addresses: Iterable[str] | None, clause: str, side: str = "daddr") -> Iterator[str]:
    """Match expressions for these addresses, one per family; an empty one for None (everybody).

    Overlapping networks are merged: an anonymous set refuses them.
    """
    if addresses is None:
        yield ""
        return
    four, six = _networks(tuple(addresses), clause)
    yield from _family("ip", "ipv4", four, side)
    yield from _family("ip6", "ipv6", six, side)


@lru_cache(maxsize=4096)
def _networks(addresses: tuple[str, ...], clause: str) -> tuple[list[str], list[str]]:
    """The networks of IPv4 and those of IPv6, as few as can be."""
    four: list[ipaddress.IPv4Network] = []
    six: list[ipaddress.IPv6Network] = []
    for address in addresses:
        try:
            network = peers.parsed(address)
        except ValueError:
            raise BackendError(
                f"'{address}' is no address or network ({clause}): resolve it first."
            ) from None
        if isinstance(network, ipaddress.IPv4Network):
            four.append(network)
        elif network.network_address.ipv4_mapped is not None and network.prefixlen >= 96:
            # A mapped destination leaves the host as IPv4.
            four.append(ipaddress.IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96)))
        else:
            six.append(network)
    return (
        [str(net) for net in ipaddress.collapse_addresses(four)],
        [str(net) for net in ipaddress.collapse_addresses(six)],
    )


def _family(word: str, protocol: str, networks: list[str], side: str) -> Iterator[str]:
    if not networks:
        return
    if networks[0].endswith("/0"):
        yield f"meta nfproto {protocol}"
        return
    hosts = [net.removesuffix("/32" if word == "ip" else "/128") for net in networks]
    yield f"{word} {side} {{ {', '.join(hosts)} }}"


def ports(wanted: Iterable[Port], clause: str, side: str = "dport") -> Iterator[str]:
    """Match expressions for these ports, one per protocol; an empty one for no ports (every port)."""
    by_protocol: dict[str, list[tuple[int, int]]] = {}
    for port in wanted:
        if port.protocol not in ("tcp", "udp"):
            raise BackendError(f"'{port}' has no ports in nftables' sense ({clause}): write tcp/ or udp/.")
        by_protocol.setdefault(port.protocol, []).append((port.first, port.last))
    if not by_protocol:
        yield ""
    for protocol in sorted(by_protocol):
        spans = _merge(by_protocol[protocol])
        if spans == [(0, 65535)]:
            yield f"meta l4proto {protocol}"
        else:
            text = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
            yield f"{protocol} {side} {{ {text} }}"


def _merge(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def rate(per_second: float, clause: str) -> str:
    """``limit rate over``'s rate: whole numbers only, so a longer unit carries a fraction. Never rounded up."""
    for factor, unit in ((1, "second"), (60, "minute"), (3600, "hour"), (86400, "day")):
        count = per_second * factor
        if count >= 1 and (count == int(count) or unit == "day"):
            return f"{int(count)}/{unit}"
    raise BackendError(
        f"{per_second} connections per second are less than one a day ({clause}): leave the grant out."
    )


class Rules:
    """Lines of a rules file and the clause of each."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self.owners: list[tuple[int, str]] = []

    def line(self, text: str, clause: str = "", depth: int = 0) -> None:
        self._lines.append("\t" * depth + text)
        if clause:
            self.owners.append((len(self._lines), clause))

    def rule(self, *parts: str, clause: str, comment: str) -> None:
        """One rule of a chain: its non-empty parts and a comment that the read-back looks for."""
        words = [part for part in parts if part]
        self.line(" ".join([*words, "comment", quote(comment, clause)]), clause, 2)

    def render(self) -> bytes:
        return ("\n".join(self._lines) + "\n").encode()
