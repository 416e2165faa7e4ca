# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grants and denials of paths as AppArmor rules: pure arithmetic on paths, for any nesting of them.

In a policy the most specific path decides alone, grants of one path add up and deny wins a tie. In AppArmor all rules
that match add up, and a deny rule beats every allow rule, however specific. So

* where nothing below gives back what a path takes away, a deny rule takes it away;
* else whatever is wider is written without that tree (``apparmor_text.outside``), and nothing is denied: what no rule
  allows is denied and logged as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

from .apparmor_text import Parts, literal, outside, tree

# A file lock is no access of its own: read includes it. Executing includes mapping code, writing includes links.
READ, WRITE, EXECUTE = frozenset("rk"), frozenset("rwkl"), frozenset("rkmx")
ALL = frozenset("rwklmx")
_ORDER = "mrwklx"


@dataclass(frozen=True, order=True)
class Layer:
    """What one clause says of a path and all below it. ``deny``: no access. ``pattern``: escaped components where the
    path is a glob. ``base``: a need of every program or of the unit itself; it adds to what the policy says of the
    path, unless that is a denial."""

    parts: Parts
    clause: str
    may: frozenset[str] = frozenset()
    deny: bool = False
    pattern: tuple[str, ...] = ()
    base: bool = False

    @cached_property
    def where(self) -> str:
        return tree(self.pattern or [literal(part) for part in self.parts])


@dataclass(frozen=True, order=True)
class Rule:
    where: str
    may: str  # letters as they are written
    clause: str
    deny: bool = False


@dataclass(frozen=True)
class Rules:
    """``lost``: clauses that a denial by pattern, which nothing can open again below it, takes away."""

    rules: tuple[Rule, ...]
    lost: frozenset[str]
    unlogged: frozenset[str]  # denials that audit mode cannot express


def letters(may: Iterable[str], deny: bool = False) -> str:
    """Permissions as AppArmor writes them: a program inherits the profile, in a denial x stands alone."""
    text = "".join(letter for letter in _ORDER if letter in may)
    return text if deny else text.replace("x", "ix")


def lay(layers: Iterable[Layer], audit: bool = False) -> Rules:
    """The rules for these layers; the same for any order of them."""
    layers = list(layers)
    nodes = _nodes(layers)
    total: dict[str, frozenset[str]] = {}
    for node in nodes:
        total[node.where] = total.get(node.where, frozenset()) | node.may
    own = sorted(layer for layer in layers if layer.base)
    without: dict[tuple[Layer, str], list[Parts]] = {}
    denials: list[Rule] = []
    lost: set[str] = set()
    unlogged: set[str] = set()
    for node in nodes:
        wider = [other for other in nodes if len(other.parts) < len(node.parts) and _meet(other, node)]
        taken = frozenset().union(*(other.may for other in wider)) - total[node.where]
        taken = ALL if node.deny else taken
        if not taken:
            continue
        back = [other for other in nodes if other is not node and _gives_back(other, node, taken)]
        bound = [] if node.deny else [layer for layer in own if layer.may & taken and _meet(layer, node)]
        carved = [*wider, *(layer for layer in own if node.deny and _above(layer, node))]
        carved = [layer for layer in carved if layer.may & taken]
        can_carve = not node.pattern and not any(layer.pattern for layer in carved)
        if not audit and not (back or bound):
            denials.append(Rule(node.where, letters(taken, True), node.clause, True))
        elif can_carve:
            for layer in carved:
                for letter in layer.may & taken:
                    without.setdefault((layer, letter), []).append(node.parts)
        elif audit:
            unlogged.add(node.clause)
        else:
            denials.append(Rule(node.where, letters(taken, True), node.clause, True))
            lost |= {other.clause for other in back}
    rules = list(denials)
    for layer in [*nodes, *own]:
        if layer.base and _denied(layer, nodes):
            continue
        rules += _allow(layer, without)
    return Rules(tuple(sorted(set(rules))), frozenset(lost), frozenset(unlogged))


def _nodes(layers: Iterable[Layer]) -> list[Layer]:
    """The policy's layers, without the grants that a denial of the same path takes away."""
    policy = sorted(layer for layer in layers if not layer.base)
    denied = {layer.where for layer in policy if layer.deny}
    return [layer for layer in policy if layer.deny or layer.where not in denied]


def _allow(layer: Layer, without: dict[tuple[Layer, str], list[Parts]]) -> list[Rule]:
    """Allow rules of one layer: letters that the same trees are taken from stand together."""
    groups: dict[tuple[Parts, ...], set[str]] = {}
    for letter in layer.may:
        taken = tuple(sorted(set(without.get((layer, letter), []))))
        groups.setdefault(_outermost(taken), set()).add(letter)
    found = []
    for taken, may in groups.items():
        places = outside(layer.parts, taken) if taken else (layer.where,)
        found += [Rule(place, letters(may), layer.clause) for place in places]
    return found


def _outermost(paths: tuple[Parts, ...]) -> tuple[Parts, ...]:
    return tuple(path for path in paths if not any(path[: len(other)] == other != path for other in paths))


def _gives_back(other: Layer, node: Layer, taken: frozenset[str]) -> bool:
    same = other.where == node.where
    # A denial wins a tie, also that with a pattern of as many components.
    least = len(node.parts) + node.deny
    return not same and len(other.parts) >= least and bool(other.may & taken) and _meet(node, other)


def _above(layer: Layer, node: Layer) -> bool:
    return len(layer.parts) < len(node.parts) and _meet(layer, node)


def _denied(layer: Layer, nodes: list[Layer]) -> bool:
    """Whether a denial is the policy's last word about the whole tree of a base layer."""
    covering = [node for node in nodes if len(node.parts) <= len(layer.parts) and _covers(node, layer)]
    deepest = max((len(node.parts) for node in covering), default=-1)
    return any(node.deny for node in covering if len(node.parts) == deepest)


def _covers(wide: Layer, layer: Layer) -> bool:
    """Whether all of ``layer`` lies in the tree of ``wide``."""
    if layer.pattern:
        return False
    return all(_matches(wide, at, layer.parts[at]) for at in range(len(wide.parts)))


def _meet(first: Layer, second: Layer) -> bool:
    """Whether one path can lie in the other's tree; two patterns are taken to meet when in doubt."""
    for at in range(min(len(first.parts), len(second.parts))):
        if first.pattern and second.pattern:
            if (
                not (_wild(first.parts[at]) or _wild(second.parts[at]))
                and first.parts[at] != second.parts[at]
            ):
                return False
        elif not (_matches(first, at, second.parts[at]) or _matches(second, at, first.parts[at])):
            return False
    return True


def _wild(part: bytes) -> bool:
    return bool(frozenset(b"*?[") & frozenset(part))


def _matches(layer: Layer, at: int, name: bytes) -> bool:
    if layer.pattern:
        return fnmatchcase(name.decode(), layer.parts[at].decode())
    return layer.parts[at] == name
