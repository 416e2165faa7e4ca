# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a document is no clause: health checks and overrides."""

from __future__ import annotations

import re
from typing import Any

from . import units
from .faults import FaultList, Refusal, plain, quote
from .model import OS, HealthCheck, Override
from .source import Node


def read_health(root: Node, faults: FaultList) -> list[HealthCheck]:
    """The health checks, each with an id by its content."""
    found: dict[str, HealthCheck] = {}
    for node in root.each("health"):
        with faults.at(node):
            one = _health(node, faults)
            if one.id in found:
                raise Refusal(f"{quote(one.id)} is listed twice.", "remove one of them")
            found[one.id] = one
    return list(found.values())


def _health(node: Node, faults: FaultList) -> HealthCheck:
    values: dict[str, Any] = {}
    if "within" in node.value:
        values["within"] = units.duration(node.value["within"])
    if "http" in node.value:
        url = str(node.value["http"])
        _port_in_range(re.search(r"^https?://(?:\[[^\]]*\]|[^/:]*):([0-9]+)(?:/|$)", url), url)
        return HealthCheck(
            f"health[http {url}]", http=url, status=int(node.value.get("status", 200)), **values
        )
    if "status" in node.value:
        raise Refusal("'status' belongs to 'http' alone.", "remove it")
    if "tcp" in node.value:
        address = str(node.value["tcp"])
        _port_in_range(re.search(r":([0-9]+)$", address), address)
        return HealthCheck(f"health[tcp {address}]", tcp=address, **values)
    command = tuple(plain(item.value) for item in node.each("command"))
    if not command or not re.match(r"/|[A-Za-z]:[\\/]", command[0]):
        raise Refusal(
            f"the command {quote(' '.join(command))} does not begin with an absolute path.",
            "write the program's full path",
        )
    return HealthCheck(f"health[command {' '.join(command)}]", command=command, **values)


def _port_in_range(found: re.Match[str] | None, text: str) -> None:
    if found and not 1 <= int(found[1]) <= 65535:
        raise Refusal(f"the port in {quote(text)} is out of range.", "write a port from 1 to 65535")


def read_overrides(root: Node) -> list[Override]:
    """One Override per value. Items of a list are told apart by their value, for order must not matter."""
    found: list[Override] = []
    for system, backends in root.entries("overrides"):
        for backend, keys in backends.entries():
            for key, node in keys.entries():
                name = f"overrides.{system}.{backend}.{key}"
                if isinstance(node.value, list):
                    # The same value twice says nothing more, and would have two verdicts under one name.
                    items = {plain(item.value): item for item in reversed(list(node.each()))}
                    found += [
                        Override(f"{name}[{text}]", OS(system), backend, key, text, origin=item.origin)
                        for text, item in items.items()
                    ]
                else:
                    found.append(
                        Override(name, OS(system), backend, key, plain(node.value), origin=node.origin)
                    )
    return found
