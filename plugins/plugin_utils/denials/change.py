# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of a policy's document, made in memory and resolved again: nothing is proposed that was not tried."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import yaml

from ..policy import load
from ..policy import model as m
from ..policy.faults import PolicyFaults
from ..policy.resolve import Groups, resolve
from ..policy.schema import validate
from ..policy.source import Node, Source

WIDENS = "widens"
REASON = "say here why"


@dataclass(frozen=True)
class Change:
    """What to write: ``added`` joins the lists of sections, ``put`` takes the place of settings.

    Both are (section, value) pairs, a section as people write it: ``filesystem.write``.
    """

    added: tuple[tuple[str, Any], ...] = ()
    put: tuple[tuple[str, Any], ...] = ()

    def fragment(self) -> dict[str, Any]:
        """The change as a piece of the document."""
        data: dict[str, Any] = {}
        for section, value in self._entries():
            holder, key = _holder(data, section)
            holder[key] = [*holder.get(key, []), *value] if isinstance(value, list) else value
        return data

    def _entries(self) -> Iterator[tuple[str, Any]]:
        for section, value in self.added:
            yield section, [value]
        yield from self.put

    def text(self) -> str:
        """The fragment as YAML, one line for each section."""
        dumped = [
            yaml.safe_dump(
                {key: value}, default_flow_style=True, sort_keys=False, width=100000, allow_unicode=True
            )
            for key, value in self.fragment().items()
        ]
        return "\n".join(one.strip()[1:-1] for one in dumped)

    def widening(self, clauses: tuple[str, ...]) -> Change:
        """The same change, with the entries that a policy under a baseline needs for it."""
        entries = tuple((WIDENS, {"clause": clause, "reason": REASON}) for clause in clauses)
        return replace(self, added=(*self.added, *entries))


@dataclass(frozen=True)
class Policy:
    """A policy with what it takes to resolve it again. ``links``: a path of the policy -> its real name on the host."""

    document: load.Document
    manifest: m.Manifest
    groups: Groups
    today: date
    links: Mapping[str, str] = field(default_factory=dict)

    def written(self, section: str) -> Any:
        """The value that the document itself gives a section, None where it says nothing."""
        node = self.document.root.get(*section.split("."))
        return None if node is None else node.value

    def changed(self, change: Change) -> m.Manifest:
        """The manifest after the change. Raises PolicyFaults where the language or an example speaks against it."""
        data = copy.deepcopy(self.document.source.data)
        for section, value in change.added:
            holder, key = _holder(data, section)
            holder[key] = [*(holder.get(key) or []), value]
        for section, value in change.put:
            holder, key = _holder(data, section)
            holder[key] = value
        old = self.document.source
        source = Source(old.file, old.lines, data, old.values, old.keys)
        root = Node(validate(source, "policy"), (), source)
        if source.faults:
            raise PolicyFaults(source.faults)
        found = resolve(replace(self.document, source=source, root=root), self.groups, self.today)
        if found.mode is not self.manifest.mode:
            found = replace(found, mode=self.manifest.mode)
        return found


def _holder(data: dict[str, Any], section: str) -> tuple[dict[str, Any], str]:
    *folders, key = section.split(".")
    holder = data
    for folder in folders:
        holder = holder.setdefault(folder, {})
    return holder, key


def faults_in_words(problem: PolicyFaults) -> str:
    """What speaks against a change, without places of the document that were never written."""
    return " ".join(dict.fromkeys(fault.message for fault in problem.faults[:3]))
