# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probes out of a policy's own examples: must_allow and must_deny, each under the clause that decides it."""

from __future__ import annotations

import ipaddress

from ..policy import peers
from ..policy.evaluate import BASE, path_act
from ..policy.model import (
    OS,
    Clause,
    Connect,
    ConnectClosure,
    Example,
    ExecuteClosure,
    Listen,
    ListenClosure,
    Manifest,
    PeerKind,
    Port,
    ReadClosure,
    WriteClosure,
)
from .base import Probe

_CLOSURES: dict[str, type[Clause]] = {
    "read": ReadClosure,
    "write": WriteClosure,
    "execute": ExecuteClosure,
}


def example_probes(manifest: Manifest, os: OS) -> tuple[Probe, ...]:
    """One probe for each example that has a meaning on ``os``, sorted by id."""
    probes = []
    for example in manifest.examples:
        target = _target(example, os)
        if target is not None:
            expect = "allow" if example.allow else "deny"
            clause = _clause(manifest, example, os)
            probes.append(Probe(example.id, clause, example.action, target, expect, example.why))
    return tuple(sorted(probes, key=lambda probe: probe.id))


def _target(example: Example, os: OS) -> str | None:
    if example.path is not None:
        return example.path.on(os)
    if example.port is None:
        return None
    if example.action == "listen":
        return str(example.port)
    address = f"[{example.address}]" if ":" in example.address else example.address
    return f"{example.port.protocol}/{address}:{example.port.first}"


def _clause(manifest: Manifest, example: Example, os: OS) -> str:
    """The most specific clause that speaks of the act, else the closure of its section."""
    if example.action == "listen":
        listening = [item.id for item in manifest.of(Listen) if _covers(item.port, example.port)]
        return listening[0] if listening else _closure(manifest, ListenClosure)
    if example.action == "connect":
        connecting = [item.id for item in manifest.of(Connect) if _reaches(item, example)]
        return connecting[0] if connecting else _closure(manifest, ConnectClosure)
    path = example.path.on(os) if example.path is not None else None
    decided = path_act(manifest.clauses, example.action, path, os).clause if path else ""
    return decided if decided not in ("", BASE) else _closure(manifest, _CLOSURES[example.action])


def _closure(manifest: Manifest, kind: type[Clause]) -> str:
    found = manifest.of(kind)
    return found[0].id if found else kind.section


def _covers(port: Port, wanted: Port | None) -> bool:
    if wanted is None:
        return False
    return port.protocol == wanted.protocol and port.first <= wanted.first and wanted.last <= port.last


def _reaches(clause: Connect, example: Example) -> bool:
    if clause.ports and not any(_covers(port, example.port) for port in clause.ports):
        return False
    try:
        address = ipaddress.ip_address(example.address)
    except ValueError:
        return False
    if clause.peer.kind is PeerKind.ANY:
        return True
    if clause.peer.kind is PeerKind.LOOPBACK:
        return address.is_loopback
    networks = [peers.parsed(text) for text in clause.peer.addresses]
    return any(address in network for network in networks)
