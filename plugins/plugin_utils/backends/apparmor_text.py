# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of AppArmor profiles: literal paths, patterns, and rules that know their clause (apparmor.d(5)).

Everything that comes from a policy stands inside of double quotes. There a newline and a quote mark end the word,
``\\`` escapes, ``@{`` is a variable, and ``* ? [ ] { } ^ ,`` belong to the pattern language. All of these are escaped,
and every byte that is not printable ASCII is written in octal: a rule is one line of ASCII whatever a path holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from .base import BackendError

Parts = tuple[bytes, ...]

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+%=~:- ")
_SIMPLE_CLASS = re.compile(r"!?[A-Za-z0-9_.-]+")
# Bytes of a character beyond ASCII: `?` and a negated class mean one character, AppArmor's mean one byte.
_WIDE = (
    r"[\302-\337][\200-\277]",
    r"[\340-\357][\200-\277][\200-\277]",
    r"[\360-\364][\200-\277][\200-\277][\200-\277]",
)
TREE = "{,/,/**}"  # the path itself, as a directory, and all below it


def parts_of(path: str, clause: str) -> Parts:
    """The components of a path as bytes. Raises BackendError for what no line of a profile can carry."""
    for char in path:
        if unicodedata.category(char) in ("Cc", "Cs"):
            raise BackendError(
                f"{path!r} holds the control character {char!r}, which no profile can carry ({clause}): remove it."
            )
    return tuple(part.encode() for part in path.split("/") if part)


@lru_cache(maxsize=4096)
def literal(name: bytes) -> str:
    """``name`` so that it stands for itself and for nothing else, inside of double quotes."""
    return "".join(_one(byte) for byte in name)


def _one(byte: int) -> str:
    if byte in _PLAIN:
        return chr(byte)
    return f"\\{chr(byte)}" if 0x20 < byte < 0x7F else f"\\{byte:03o}"


def pattern(name: str, clause: str) -> str:
    """One component of a policy's glob (``*``, ``?``, ``[a-z]``, ``[!a-z]``) in AppArmor's words."""
    made = ""
    position = 0
    while position < len(name):
        char = name[position]
        if char == "*":
            made += "*"
        elif char == "?":
            made += _character("")
        elif char == "[":
            end = name.index("]", position)
            inside = name[position + 1 : end]
            if not _SIMPLE_CLASS.fullmatch(inside):
                raise BackendError(
                    f"'{name}' has a set of characters that AppArmor cannot carry ({clause}): use letters, digits, "
                    "'.', '_' and ranges of them."
                )
            made += _character(inside[1:]) if inside.startswith("!") else f"[{inside}]"
            position = end
        else:
            made += literal(char.encode())
        position += 1
    return made


def _character(but: str) -> str:
    """One character that is not among ``but``, of one byte or of more."""
    return "{" + ",".join((rf"[^{but}/\200-\377]", *_WIDE)) + "}"


def tree(parts: Iterable[str]) -> str:
    """A pattern for a path, given in escaped components, and all below it."""
    text = "".join(f"/{part}" for part in parts)
    return f"{text}{TREE}" if text else "/{,**}"


def outside(parts: Parts, excluded: Iterable[Parts], prefix: str | None = None) -> Iterator[str]:
    """Patterns that match the tree of ``parts`` without the trees of ``excluded``, which lie strictly below it.

    AppArmor has no "all but": a deny rule would beat every grant below it. What is left is listed name by name and,
    within names, byte by byte.
    """
    here = "".join(f"/{literal(part)}" for part in parts) if prefix is None else prefix
    below: dict[bytes, list[Parts]] = {}
    for path in excluded:
        rest = path[len(parts) :]
        below.setdefault(rest[0], []).append(path)
    if here:
        yield here
    yield f"{here}/"
    for text in _other_names(frozenset(below)):
        yield f"{here}/{text}"
    for name, paths in sorted(below.items()):
        deeper = (*parts, name)
        if deeper not in paths:
            yield from outside(deeper, paths, f"{here}/{literal(name)}")


def _other_names(names: frozenset[bytes]) -> Iterator[str]:
    """Patterns for every name but these, with all below it."""
    for begin in sorted({name[:end] for name in names for end in range(len(name) + 1)}):
        following = sorted({name[len(begin)] for name in names if name != begin and name.startswith(begin)})
        # Between two others a dash makes a range of them, however it is written; first it is itself.
        following.sort(key=lambda byte: byte != ord("-"))
        taken = "".join(
            chr(byte) if chr(byte).isalnum() and byte < 0x80 else f"\\{byte:03o}" for byte in following
        )
        yield f"{literal(begin)}[^{taken}/]**"
        if begin and begin not in names:
            yield f"{literal(begin)}{TREE}"


@dataclass
class ProfileText:
    """Lines of a profile and the clause of each; ``render`` gives the file's bytes."""

    name: str
    header: str
    flags: tuple[str, ...]
    _rules: list[tuple[str, str]] = field(default_factory=list)
    _children: list[tuple[ProfileText, str]] = field(default_factory=list)

    def rule(self, text: str, clause: str) -> None:
        """One rule without its comma. One that is there already stays its first clause's."""
        if text not in [known for known, _unused in self._rules]:
            self._rules.append((text, clause))

    def path(
        self, where: str, permissions: str, clause: str, *, deny: bool = False, audit: bool = False
    ) -> None:
        """A file rule; ``where`` is an escaped pattern."""
        words = "audit deny " if deny else "audit " if audit else ""
        self.rule(f'{words}"{where}" {permissions}', clause)

    def change(self, program: Parts, profile: str, clause: str) -> None:
        """Whoever starts ``program`` changes to ``profile``. A rule for one name beats all patterns (apparmor.d(5))."""
        where = "".join(f"/{literal(part)}" for part in program)
        own = [f'"{where}" ', f'audit "{where}" ']
        self._rules = [
            (rule.removesuffix("ix") if rule.startswith(tuple(own)) else rule, owner)
            for rule, owner in self._rules
        ]
        self._rules = [(rule, owner) for rule, owner in self._rules if rule not in own]
        # The kernel maps the program as well; what a pattern says of that parser 4.1 forgets for this one name.
        self.rule(f'"{where}" mrkpx -> {profile}', clause)

    def child(self, child: ProfileText, clause: str) -> None:
        """A profile inside of this one; all of it is of one clause."""
        self._children.append((child, clause))

    def render(self) -> tuple[bytes, tuple[tuple[int, str], ...]]:
        """The file's bytes and its (line number from 1, clause id) pairs."""
        text = [f"# {self.header}", "abi <abi/3.0>,", "", self._head]
        owners = []
        for rule, clause in self._rules:
            text.append(f"  {rule},")
            if clause:
                owners.append((len(text), clause))
        for child, clause in self._children:
            inside = [f"  {child._head}", *(f"    {rule}," for rule, _unused in child._rules), "  }"]
            owners += [(len(text) + number, clause) for number in range(1, len(inside) + 1)]
            text += inside
        text.append("}")
        return ("\n".join(text) + "\n").encode("ascii"), tuple(owners)

    @property
    def _head(self) -> str:
        return f"profile {self.name} flags=({', '.join(self.flags)}) {{"
