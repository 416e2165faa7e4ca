# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arithmetic on sets of addresses and ports: what is left when the allowed ones are taken out.

Where block rules beat allow rules (Windows Firewall, pf with quick), "nothing but these peers" is written as
block rules for all the others. Sets are sorted tuples of disjoint, inclusive (first, last) pairs of numbers.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

Span = tuple[int, int]
Spans = tuple[Span, ...]

LAST = {4: 2**32 - 1, 6: 2**128 - 1}
PORTS: Span = (0, 65535)


def merge(spans: Iterable[Span]) -> Spans:
    """The same numbers in the fewest spans."""
    merged: list[Span] = []
    for first, last in sorted(spans):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def complement(spans: Iterable[Span], last: int) -> Spans:
    """All numbers from 0 to ``last`` that are in none of the spans."""
    left: list[Span] = []
    begin = 0
    for first, end in merge(spans):
        if begin < first:
            left.append((begin, first - 1))
        begin = end + 1
    return (*left, (begin, last)) if begin <= last else tuple(left)


def addresses(networks: Iterable[str], version: int) -> Spans:
    """The addresses of one version (4 or 6) in CIDR strings. Raises ``ValueError`` where one is none."""
    parsed = [ipaddress.ip_network(network, strict=False) for network in networks]
    return merge(
        (int(network.network_address), int(network.broadcast_address))
        for network in parsed
        if network.version == version
    )


def segments(allowed: Mapping[Span, Spans]) -> dict[Spans, Spans]:
    """Cut the port range where any set begins or ends, and group the pieces by the addresses allowed there.

    ``allowed`` maps port spans, which may overlap, to address spans. Gives {addresses: ports}; the ports of
    all groups together are 0 to 65535.
    """
    cuts = sorted(
        {0, *(first for first, _unused in allowed), *(last + 1 for _unused, last in allowed)} - {PORTS[1] + 1}
    )
    groups: dict[Spans, list[Span]] = {}
    for begin, following in zip(cuts, [*cuts[1:], PORTS[1] + 1], strict=True):
        here = merge(
            span for (first, last), spans in allowed.items() if first <= begin <= last for span in spans
        )
        groups.setdefault(here, []).append((begin, following - 1))
    return {spans: merge(pieces) for spans, pieces in groups.items()}


def port_text(span: Span) -> str:
    return str(span[0]) if span[0] == span[1] else f"{span[0]}-{span[1]}"


def address_text(span: Span, version: int) -> str:
    """A range as the firewall reads it: ``10.0.0.0-10.0.0.255``, or one address."""
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    first, last = (str(kind(number)) for number in span)
    return first if first == last else f"{first}-{last}"
