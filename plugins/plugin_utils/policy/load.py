# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a file to a Document: bytes, YAML, schema, and the baselines that it extends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import library
from .faults import Fault, FaultList, PolicyFaults, Refusal, quote
from .model import Origin
from .parse import MAX_BYTES, parse
from .schema import validate
from .source import Node, Source

MAX_DEPTH = 8


@dataclass(frozen=True)
class Document:
    """A file that is YAML and fits the schema. ``root`` lacks whatever was at fault.

    ``baselines`` are the documents that it extends, directly or not, nearest first, each once.
    ``search`` are the directories in which it looks for baselines and components.
    """

    path: Path
    kind: str
    source: Source
    root: Node
    search: tuple[Path, ...] = ()
    baselines: tuple[Document, ...] = field(default=())

    @property
    def name(self) -> str:
        found = self.root.get(self.kind)
        return str(found.value) if found else self.path.stem


def load_policy(path: str | Path, search: Sequence[str | Path] = ()) -> Document:
    """Load a policy by path or name. Raises PolicyFaults with all faults of form, here and in baselines."""
    document, faults = read(path, search)
    if faults or document is None:
        raise PolicyFaults(faults)
    return document


def read(path: str | Path, search: Sequence[str | Path] = ()) -> tuple[Document | None, list[Fault]]:
    """Like ``load_policy``, but gives what could be read together with the faults."""
    try:
        found = library.find(path, search)
    except Refusal as refusal:
        return None, [Fault(refusal.message, refusal.help_text)]
    document, faults = _read_one(found, "policy", search)
    if document is None:
        return None, faults
    named = document.root.get("policy")
    if named is not None and "/" not in str(path) and str(path) == found.stem and named.value != found.stem:
        message = f"the file {quote(found.name)} holds the policy {quote(named.value)}."
        faults.append(named.fault(message, f"write 'policy: {found.stem}', or rename the file"))
    baselines = _baselines(document, faults)
    return Document(
        document.path, "policy", document.source, document.root, document.search, baselines
    ), faults


def _read_one(path: Path, kind: str, search: Sequence[str | Path]) -> tuple[Document | None, list[Fault]]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "cannot be read"
        return None, [
            Fault(
                f"the file cannot be read: {reason}.",
                "check the path and its permissions",
                origin=Origin(str(path)),
            )
        ]
    source = parse(str(path), raw)
    data = validate(source, kind)
    folder = path.parent if kind == "policy" else path.parent.parent
    folders = tuple(dict.fromkeys([folder, *(Path(item) for item in search)]))
    return Document(path, kind, source, Node(data, (), source), folders), source.faults


def _baselines(document: Document, faults: list[Fault]) -> tuple[Document, ...]:
    """All baselines, each once. Cycles, missing files and too deep chains are faults at their entry."""
    found: dict[str, Document] = {}
    listed = FaultList()

    def visit(holder: Document, chain: tuple[str, ...]) -> None:
        for entry in sorted(holder.root.each("extends"), key=lambda node: str(node.value)):
            name = str(entry.value)
            if name in chain:
                shown = " -> ".join([*chain[chain.index(name) :], name])
                listed.add(
                    entry,
                    f"the baseline {quote(name)} extends itself: {shown}.",
                    "remove it from one of them",
                )
            elif len(chain) >= MAX_DEPTH:
                listed.add(entry, f"more than {MAX_DEPTH} baselines in a row.", "extend them side by side")
            elif name not in found:
                with listed.at(entry):
                    path = library.find_baseline(name, document.search)
                    loaded, wrong = _read_one(path, "baseline", document.search)
                    faults.extend(wrong)
                    if loaded is not None:
                        found[name] = loaded
                        visit(loaded, (*chain, name))

    visit(document, ())
    faults.extend(listed.items)
    return tuple(found[name] for name in _nearest_first(found))


def _nearest_first(found: dict[str, Document]) -> list[str]:
    """Names of baselines, each before those that it extends, else by name: the order of ``extends`` never matters."""
    left = {name: {str(entry.value) for entry in one.root.each("extends")} for name, one in found.items()}
    order: list[str] = []
    while left:
        extended = set().union(*left.values())
        order += sorted(set(left) - extended) or sorted(
            left
        )  # the latter in a cycle, which is a fault already
        left = {name: bases for name, bases in left.items() if name not in order}
    return order
