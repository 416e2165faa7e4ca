# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of a policy: read from the document, and held against the clauses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import units
from .clauses import Entry
from .evaluate import BASE, Outcome, example
from .faults import FaultList, Refusal, quote
from .model import OS, Clause, Example, Families, Port
from .paths import PathNames
from .source import Node
from .words import EXAMPLE_ACTIONS


@dataclass(frozen=True)
class Held:
    """An example with its place, and the baseline that brought it in (or nothing)."""

    example: Example
    node: Node
    baseline: str = ""

    @property
    def content(self) -> tuple[Any, ...]:
        """What it says, however it is written."""
        one = self.example
        return one.allow, one.action, one.path.by_os if one.path else None, one.address, one.port


def read_examples(root: Node, names: PathNames, faults: FaultList, baseline: str = "") -> list[Held]:
    """The examples of a document. Ids of a baseline's examples carry its name."""
    found: dict[tuple[Any, ...], Held] = {}
    for allow, key in ((True, "must_allow"), (False, "must_deny")):
        for node in root.each("examples", key):
            with faults.at(Entry.of(node, *EXAMPLE_ACTIONS).spot):
                label = f"examples.{key}[{baseline}:" if baseline else f"examples.{key}["
                held = Held(_example(node, label, allow, names), node, baseline)
                if held.content in found:
                    first = found[held.content].node.origin.line
                    raise Refusal(
                        f"this example is listed twice, first on line {first}.", "remove one of them"
                    )
                found[held.content] = held
    return list(found.values())


def _example(node: Node, label: str, allow: bool, names: PathNames) -> Example:
    entry = Entry.of(node, *EXAMPLE_ACTIONS)
    action = next(name for name in EXAMPLE_ACTIONS if name in node.value)
    label = f"{label}{action} "
    if action == "listen":
        port = units.port(entry.main)
        return Example(f"{label}{port}]", allow, action, port=port, why=entry.why, origin=node.origin)
    if action == "connect":
        address, port = _peer(entry.main)
        shown = f"[{address}]" if ":" in address else address
        name = f"{label}{'udp/' if port.protocol == 'udp' else ''}{shown}:{port.first}]"
        return Example(name, allow, action, address=address, port=port, why=entry.why, origin=node.origin)
    path = names.resolve(entry.main, on=entry.on())
    return Example(f"{label}{path.text}]", allow, action, path=path, why=entry.why, origin=node.origin)


def _peer(text: str) -> tuple[str, Port]:
    protocol, slash, rest = text.partition("/")
    if not slash:
        protocol, rest = "tcp", text
    host, _sep, number = rest.rpartition(":")
    fix = "write address:port, such as 169.254.169.254:80 or 'udp/[2001:db8::1]:53'"
    try:
        address = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        raise Refusal(f"{quote(text)} holds no literal address.", fix) from None
    if protocol not in ("tcp", "udp") or not number.isdecimal() or len(number) > 5:
        raise Refusal(f"{quote(text)} has no port.", fix)
    return str(address), units.port(f"{protocol}/{number}")


def check_examples(
    examples: Iterable[Held],
    clauses: Sequence[Clause],
    systems: Sequence[OS],
    nodes: Mapping[str, Node],
    faults: FaultList,
) -> None:
    """Record a fault for every example that the clauses contradict on one of ``systems``.

    A baseline's example is not at fault; the policy's clause is (``nodes``: clause id -> its place).
    """
    for held in examples:
        for os in systems:
            decision = example(clauses, held.example, os)
            if decision is None or decision.outcome is Outcome.DEPENDS:
                continue
            if (decision.outcome is Outcome.ALLOW) != held.example.allow:
                message, fix = _contradiction(held, os, decision.clause)
                node = nodes.get(decision.clause, held.node) if held.baseline else held.node
                faults.add(node, message, fix)
                break


def _contradiction(held: Held, os: OS, clause: str) -> tuple[str, str]:
    one = held.example
    act = quote(one.id.partition("[")[2].removesuffix("]").removeprefix(f"{held.baseline}:"))
    where = f" on {os.value}" if one.path is not None else ""
    if not one.allow:
        by = f" by the baseline {quote(held.baseline)}" if held.baseline else ""
        if clause == BASE:
            message = f"{act} must be denied{by}, but every program may do that{where} (the base set)."
            return message, "add the path to filesystem.deny, or remove the example"
        message = f"{act} must be denied{by}, but the policy allows it by {clause}{where}."
        if held.baseline:
            return message, f"narrow {clause}, or add {{clause: '{one.id}', reason: ...}} under 'widens'"
        return message, f"narrow {clause}, or deny the path" if one.path is not None else f"narrow {clause}"
    if clause:
        message = f"{act} must be allowed, but the policy denies it by {clause}{where}."
        if clause.startswith(Families.section):
            family = "ipv6" if ":" in one.address else "ipv4"
            return message, f"add {family} to network.families, or remove the example"
        return message, f"narrow {clause}, or grant something more specific"
    section = f"filesystem.{one.action}" if one.path is not None else f"network.{one.action}"
    fix = f"add it to {section}"
    if one.path is not None and one.path.text.startswith("/"):
        fix += ", or say with 'on' or a $name where the path is"
    return f"{act} must be allowed, but no clause of {section} does{where}.", fix
