# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy says about one act, decided from the clauses alone and from no backend.

It is the independent judge of the examples, and the reference that backends can be compared with.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from . import model as m
from . import peers
from .base import BASE_READ
from .paths import covers

# Executing includes reading, writing includes reading.
_GRANTS: dict[str, tuple[type[m.PathClause], ...]] = {
    "read": (m.Read, m.Write, m.Execute, m.Spawn),
    "write": (m.Write,),
    "execute": (m.Execute, m.Spawn),
}
_DECIDING = (m.Read, m.Write, m.Execute, m.Spawn, m.Deny)
BASE = "base"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Outcome(str, Enum):  # noqa: UP042
    ALLOW = "allow"
    DENY = "deny"
    DEPENDS = "depends"  # on what only a host knows: its resolvers, what a name stands for


@dataclass(frozen=True)
class Decision:
    """``clause`` made the decision: an id, ``base`` for the base set, or empty where no clause speaks of it."""

    outcome: Outcome
    clause: str = ""


_DENIED = Decision(Outcome.DENY)


def path_act(clauses: Iterable[m.Clause], action: str, path: str, os: m.OS) -> Decision:
    """read, write or execute of a literal path. The most specific path decides alone, between grants as well.

    On one path deny wins, and several grants add up. A denial names the grant that narrows a wider one.
    """
    covering = [
        (depth, clause)
        for clause in clauses
        if isinstance(clause, _DECIDING) and (depth := covers(clause.path, path, os))
    ]
    best = max((depth for depth, _unused in covering), default=0)
    nearest = sorted((clause for depth, clause in covering if depth == best), key=lambda clause: clause.id)
    denying = [clause for clause in nearest if isinstance(clause, m.Deny)]
    if denying:
        return Decision(Outcome.DENY, denying[0].id)
    granting = [clause for clause in nearest if isinstance(clause, _GRANTS[action])]
    if granting:
        return Decision(Outcome.ALLOW, granting[0].id)
    if any(isinstance(clause, _GRANTS[action]) for _unused, clause in covering):
        return Decision(Outcome.DENY, nearest[0].id)
    if action == "read":
        refs = (m.PathRef(base, ((os, base),)) for base in BASE_READ[os])
        if any(covers(ref, path, os) for ref in refs):
            return Decision(Outcome.ALLOW, BASE)
    return _DENIED


def listen_act(clauses: Iterable[m.Clause], port: m.Port) -> Decision:
    """Listening on one port."""
    for clause in clauses:
        if isinstance(clause, m.Listen) and _holds(clause.port, port):
            return Decision(Outcome.ALLOW, clause.id)
    return _DENIED


def connect_act(clauses: Iterable[m.Clause], address: str, port: m.Port) -> Decision:
    """Connecting to one literal address and port, whose family has to be among ``network.families``."""
    there = ipaddress.ip_address(address)
    clauses = list(clauses)
    decision = _to_peer(clauses, there, port)
    for clause in clauses:
        if (
            isinstance(clause, m.Families)
            and f"ipv{there.version}" not in clause.names
            and decision != _DENIED
        ):
            return Decision(Outcome.DENY, clause.id)
    return decision


def _to_peer(clauses: Iterable[m.Clause], there: Address, port: m.Port) -> Decision:
    decision = _DENIED
    for clause in clauses:
        if not isinstance(clause, m.Connect):
            continue
        ports = clause.ports or ((m.Port("tcp", 53, 53), m.Port("udp", 53, 53)) if _is_dns(clause) else ())
        if ports and not any(_holds(one, port) for one in ports):
            continue
        if clause.peer.kind in (m.PeerKind.DNS, m.PeerKind.NAME):
            decision = Decision(Outcome.DEPENDS, clause.id)
        elif _reaches(clause.peer, there):
            return Decision(Outcome.ALLOW, clause.id)
    return decision


def example(clauses: Iterable[m.Clause], act: m.Example, os: m.OS) -> Decision | None:
    """The decision about an example on ``os``, or None where its path does not exist or is not known."""
    if act.action == "listen" and act.port is not None:
        return listen_act(clauses, act.port)
    if act.action == "connect" and act.port is not None:
        return connect_act(clauses, act.address, act.port)
    path = act.path.on(os) if act.path is not None else None
    return path_act(clauses, act.action, path, os) if path is not None else None


def _is_dns(clause: m.Connect) -> bool:
    return clause.peer.kind is m.PeerKind.DNS


def _holds(wide: m.Port, one: m.Port) -> bool:
    return wide.protocol == one.protocol and wide.first <= one.first and one.last <= wide.last


def _reaches(peer: m.Peer, there: Address) -> bool:
    if peer.kind is m.PeerKind.ANY:
        return True
    if peer.kind is m.PeerKind.LOOPBACK:
        return there.is_loopback
    return any(there in peers.parsed(network) for network in peer.addresses)
