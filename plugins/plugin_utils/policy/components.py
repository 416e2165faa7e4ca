# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Components: programs that the application starts, each under a policy of its own that is resolved like any other."""

from __future__ import annotations

from collections.abc import Callable

from . import model as m
from .faults import FaultList, PolicyFaults, Refusal, quote
from .load import Document, load_policy
from .source import Node


def read_components(
    document: Document, resolve: Callable[[Document], m.Manifest], faults: FaultList
) -> list[tuple[m.Component, Node]]:
    """Each component with its place. ``resolve`` raises PolicyFaults where the component's policy has any."""
    found: dict[str, tuple[m.Component, Node]] = {}
    for node in document.root.each("components"):
        name, policy = str(node.value["name"]), str(node.value["policy"])
        with faults.at(node):
            if name in found:
                raise Refusal(f"the component {quote(name)} is listed twice.", "remove one of them")
            if policy == document.name:
                raise Refusal(f"the policy {quote(policy)} is its own component.", "remove the component")
            try:
                own = load_policy(policy, document.search)
                if any(own.root.each("components")):
                    message = f"the policy {quote(policy)} of the component {quote(name)} has components of its own."
                    raise Refusal(message, "list them here: a component has none")
                manifest = resolve(own)
            except PolicyFaults as error:
                raise _refusal(name, policy, error) from error
            found[name] = (_component(name, manifest, node), node)
    return list(found.values())


def _component(name: str, manifest: m.Manifest, node: Node) -> m.Component:
    return m.Component(
        f"{m.Component.section}[{name}]",
        name=name,
        policy=manifest.policy,
        version=manifest.version,
        programs=tuple((one.os, one.executable) for one in manifest.workloads if one.executable),
        clauses=manifest.clauses,
        origin=node.origin,
        why=str(node.value.get("why", "")),
    )


def _refusal(name: str, policy: str, error: PolicyFaults) -> Refusal:
    first, count = error.faults[0], len(error.faults)
    if not first.origin.line:  # there is no such file
        return Refusal(first.message, first.help_text)
    message = f"the policy {quote(policy)} of the component {quote(name)} has faults: {count}."
    return Refusal(message, f"the first: {first.message.rstrip('.')}")
