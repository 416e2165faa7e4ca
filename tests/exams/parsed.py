# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What artifacts are made of once the parsers of their languages have read them.

A shape is a multiset: one entry for each directive, rule, element, key and form, by its name and its number of words or
parts. Values are not in it. Two bundles of equal shapes differ in values alone.
"""

from __future__ import annotations

import json
import plistlib
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import exam  # noqa: F401  puts the helpers below on the path
from apparmor_model import Profile as AppArmorProfile
from linux_support import words
from parsers import complaints, ruleset
from pf_model import Anchor
from sbpl_model import Profile, Regex, Text, read
from scheme import SCHEME, forms

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Artifact
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle

Shape = Counter[str]


def shape(bundle: Bundle, by_hand: frozenset[str]) -> Shape:
    """The shape of all that a host gets. ``by_hand``: directives of overrides, whose words are the policy's own.

    Raises ``ValueError`` where a parser does not take an artifact.
    """
    found = Shape(
        [
            f"{len(bundle.units)} units, {len(bundle.health)} health checks, {len(bundle.readbacks)} read-backs, "
            f"{len(bundle.probes)} probes"
        ]
    )
    for one in bundle.artifacts:
        found[f"{one.path} {one.kind} {one.mode:o} {one.owner} {one.group} {one.unit}"] += 1
        read = _apparmor(one) if one.kind == "apparmor" else _of(one.kind, one.content, by_hand)
        for item, count in read.items():
            found[f"{one.path}: {item}"] += count
    units = tuple((one.path, one.content) for one in bundle.artifacts if one.kind.startswith("systemd_"))
    for line in _said_by_systemd(units, by_hand):
        found[f"systemd-analyze: {line}"] += 1
    # A policy's own name is in the names of its files.
    named = re.compile(f"{re.escape(bundle.policy)}|{re.escape(bundle.policy.replace('-', '_'))}")
    return Shape({named.sub("POLICY", item): count for item, count in found.items()})


# A component's own name is in its profile's.
_CHILDREN = re.compile(r"(?<=//)[a-z0-9_-]+|(?<=  profile )[a-z0-9_-]+")


@cache
def _of(kind: str, content: bytes, by_hand: frozenset[str]) -> Shape:
    text = content.decode("utf-8")
    if kind.startswith("systemd_"):
        return Shape(_unit(text, by_hand))
    return Shape(_READERS[kind](text))


def _unit(text: str, by_hand: Collection[str]) -> Iterator[str]:
    """Directives as systemd reads them: a backslash at the end of a line joins it with the next that is no comment."""
    section, held = "", ""
    for raw in text.split("\n"):
        line = raw.strip(" \t\r")
        if not held and not line or line.startswith(("#", ";")):
            continue
        held += line
        if held.endswith("\\"):
            held = held[:-1] + " "
            continue
        line, held = held, ""
        if line.startswith("["):
            section = line
            yield section
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ValueError(f"no assignment: {line!r}")
        if key in by_hand:
            yield f"{section} {key}="
        else:
            single = len(re.findall("%", value.replace("%%", "")))
            yield f"{section} {key}= {len(words(value))} words, {single} specifiers"
    if held:
        raise ValueError(f"the file ends within {held!r}")


@cache
def _said_by_systemd(units: tuple[tuple[str, bytes], ...], by_hand: frozenset[str]) -> tuple[str, ...]:
    """What systemd-analyze says of our files, but for the values of overrides: those are the policy's own."""
    dropins = [(path, content) for path, content in units if path.endswith(".conf")]
    if not dropins:
        return ()
    with TemporaryDirectory() as home:
        for path, content in units:
            target = Path(home) / path.removeprefix("/etc/systemd/system/")
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)
        lines = complaints(Path(home), Path(dropins[0][0]).parent.name.removesuffix(".d"))
    rows = dropins[0][1].decode("utf-8").split("\n")
    said = []
    for line in lines:
        at = re.search(r"\.conf:([0-9]+):", line)
        if not at or rows[int(at[1]) - 1].partition("=")[0] not in by_hand:
            said.append(line.replace(home, ""))
    return tuple(said)


def _apparmor(one: Artifact) -> Shape:
    """Rules by their kind and letters, each once for a clause: how many rules leave a tree out depends on its name."""
    text = one.content.decode("utf-8")
    AppArmorProfile(text)
    lines = text.split("\n")
    rules = {
        number for number, line in enumerate(lines, 1) if line.startswith("  ")
    }  # children and their ends too
    owners = dict(one.lines)
    found = Shape([f"{len(rules ^ owners.keys())} rules without a clause"])
    kinds = {
        (_CHILDREN.sub("CHILD", re.sub('".*"', "PATH", lines[number - 1])), owner)
        for number, owner in owners.items()
    }
    found.update(kind for kind, _owner in kinds)
    return found


def _nftables(text: str) -> Iterator[str]:
    for one in ruleset(text):
        ((kind, held),) = one.items()
        held.pop("handle", None)
        chain = re.sub(r"_[0-9]+$", "_n", str(held.get("chain", held.get("name", ""))))
        yield f"{kind} {chain} {json.dumps(_outline(held), sort_keys=True)}"


def _outline(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _outline(one) for key, one in value.items()}
    return [_outline(one) for one in value] if isinstance(value, list) else type(value).__name__


def _json(text: str) -> Iterator[str]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError(f"a key stands twice: {[key for key, _value in pairs]}")
        return dict(pairs)

    yield from _leaves(json.loads(text, object_pairs_hook=once))


def _leaves(value: Any, place: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, f"{place}.{key}")
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, f"{place}[]")
    else:
        yield f"{place} {type(value).__name__}"


def _xml(text: str) -> Iterator[str]:
    stack = [("", ElementTree.fromstring(text))]
    while stack:
        place, element = stack.pop()
        place = f"{place}/{element.tag}"
        yield f"{place} {sorted(element.attrib)}"
        stack += [(place, child) for child in element]


def _plist(text: str) -> Iterator[str]:
    yield from _leaves(plistlib.loads(text.encode()))
    yield from _xml(text)


def _profile(text: str) -> Iterator[str]:
    Profile(text)
    for form in read(text):
        yield json.dumps(_form(form))
    if SCHEME:
        with TemporaryDirectory() as home:
            file = Path(home) / "profile.sb"
            file.write_text(text, encoding="utf-8")
            yield f"{forms(file, Path(home))} forms by TinyScheme"


def _form(value: Any) -> Any:
    if isinstance(value, list):
        return [_form(one) for one in value]
    return "a regex" if isinstance(value, Regex) else "a text" if isinstance(value, Text) else value


def _pf(text: str) -> Iterator[str]:
    anchor = Anchor(text)
    yield from ("table" for _name in anchor.tables)
    for rule in anchor.rules:
        yield f"rule {sorted(name for name, value in rule.items() if value)}"


_READERS: dict[str, Callable[[str], Iterator[str]]] = {
    "nftables": _nftables,
    "powershell_data": _json,
    "applocker_xml": _xml,
    "sbpl": _profile,
    "launchd_plist": _plist,
    "pf": _pf,
}


def artifact(found: Bundle, kind: str) -> Artifact:
    """The one artifact of this kind."""
    (one,) = [item for item in found.artifacts if item.kind == kind]
    return one
