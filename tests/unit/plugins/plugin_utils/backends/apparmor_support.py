# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies of nested paths, the paths around them, and whether a profile says of these what the policy says."""

from __future__ import annotations

import itertools
import random
from typing import Protocol

from linux_support import host, manifest, path

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import apparmor
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Compilation
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.evaluate import Outcome, path_act

KINDS: tuple[type[m.PathClause], ...] = (m.Read, m.Write, m.Execute, m.Deny)
NAMES = ("a", "ab", "b", "é", "c*d", "-", "]^", "@{x}", "a@", '"', "e f#", "\\")
LETTERS = {"read": "r", "write": "w", "execute": "x"}


class Judge(Protocol):
    def allows(self, path: str, letter: str) -> bool: ...


def made(*clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE) -> tuple[Compilation, str]:
    """The compilation and the text of its profile."""
    compilation = apparmor.compile(manifest(*clauses, mode=mode), host())
    (artifact,) = [item for item in compilation.artifacts if item.kind == "apparmor"]
    return compilation, artifact.content.decode()


def nesting(seed: int) -> list[m.PathClause]:
    """Up to seven grants and denials of paths that lie in each other, or have names that begin alike."""
    chance = random.Random(seed)
    clauses: dict[str, m.PathClause] = {}
    for _ in range(chance.randint(1, 7)):
        where = "/srv/" + "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 4)))
        one = clause(chance.choice(KINDS), where)
        clauses[one.id] = one
    return list(clauses.values())


def clause(kind: type[m.PathClause], where: str, glob: bool = False) -> m.PathClause:
    return kind(f"{kind.section}[{kind.__name__} {where}]", path=path(where, glob))


def around(clauses: list[m.PathClause]) -> list[str]:
    """The clauses' own paths, what lies beside and below them, and names that only begin alike."""
    places = {"/srv", "/srvx"}
    for one in clauses:
        text = one.path.text.replace("*", "s") if one.path.glob else one.path.text
        parent, _slash, name = text.rpartition("/")
        places |= {text, f"{text}/new", f"{text}/a/b", f"{text}x"}
        places |= {f"{parent}/{name[:-1]}y", f"{parent}/é", f"{parent}/n"}
        if len(name) > 1:
            places.add(f"{parent}/{name[:-1]}")
    return sorted(place for place in places if place and not place.endswith("/") and "//" not in place)


def differences(profile: Judge, clauses: list[m.PathClause]) -> list[str]:
    found = []
    for place, (action, letter) in itertools.product(around(clauses), LETTERS.items()):
        wanted = path_act(clauses, action, place, m.OS.LINUX).outcome is Outcome.ALLOW
        # A file and a directory of that name: writing in a directory is making files in it.
        for shown in (place, f"{place}/"):
            if profile.allows(shown, letter) is not wanted:
                found.append(f"{action} {shown}: {'missing' if wanted else 'open'}")
    return found
