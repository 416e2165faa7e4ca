# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of a policy: read from the document, and held against the clauses."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from . import units
from .clauses import Entry
from .evaluate import BASE, Outcome, example
from .faults import FaultList, Refusal, quote
from .model import OS, Clause, Example, Port
from .paths import PathNames
from .source import Node
from .words import EXAMPLE_ACTIONS


def read_examples(root: Node, names: PathNames, faults: FaultList) -> list[tuple[Example, Node]]:
    """The examples of a document with their nodes."""
    found: dict[str, tuple[Example, Node]] = {}
    for allow, key in ((True, "must_allow"), (False, "must_deny")):
        for node in root.each("examples", key):
            with faults.at(node):
                made = _example(node, key, allow, names)
                if made.id in found:
                    first = found[made.id][1].origin.line
                    raise Refusal(
                        f"this example is listed twice, first on line {first}.", "remove one of them"
                    )
                found[made.id] = (made, node)
    return list(found.values())


def _example(node: Node, key: str, allow: bool, names: PathNames) -> Example:
    entry = Entry.of(node, *EXAMPLE_ACTIONS)
    action = next(name for name in EXAMPLE_ACTIONS if name in node.value)
    label = f"examples.{key}[{action} "
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
    host, _, number = rest.rpartition(":")
    fix = "write address:port, such as 169.254.169.254:80 or 'udp/[2001:db8::1]:53'"
    try:
        address = ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        raise Refusal(f"{quote(text)} holds no literal address.", fix) from None
    if protocol not in ("tcp", "udp") or not number.isdecimal() or len(number) > 5:
        raise Refusal(f"{quote(text)} has no port.", fix)
    return str(address), units.port(f"{protocol}/{number}")


def check_examples(
    examples: Sequence[tuple[Example, Node]],
    clauses: Sequence[Clause],
    systems: Iterable[OS],
    faults: FaultList,
) -> None:
    """Record a fault for every example that the clauses contradict on one of ``systems``."""
    wanted = sorted(systems, key=lambda os: os.value)
    for one, node in examples:
        for os in wanted:
            decision = example(clauses, one, os)
            if decision is None or decision.outcome is Outcome.DEPENDS:
                continue
            if (decision.outcome is Outcome.ALLOW) != one.allow:
                faults.add(node, *_contradiction(one, os, decision.clause))
                break


def _contradiction(one: Example, os: OS, clause: str) -> tuple[str, str]:
    act = quote(one.id.partition("[")[2].removesuffix("]"))
    where = f" on {os.value}" if one.path is not None else ""
    if not one.allow:
        if clause == BASE:
            message = f"{act} must be denied, but every program may do that{where} (the base set)."
            return message, "add the path to filesystem.deny, or remove the example"
        return (
            f"{act} must be denied, but the policy allows it by {clause}{where}.",
            f"narrow {clause}, or deny the path",
        )
    section = f"filesystem.{one.action}" if one.path is not None else f"network.{one.action}"
    if clause:
        return (
            f"{act} must be allowed, but the policy denies it by {clause}{where}.",
            f"narrow {clause}, or grant more",
        )
    fix = f"add it to {section}"
    if one.path is not None and one.path.text.startswith("/"):
        fix += ", or say with 'on' or a $name where the path is"
    return f"{act} must be allowed, but no clause of {section} does{where}.", fix
