# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an AppArmor profile lets a service do, from its text alone (apparmor.d(5)).

Permissions of all allow rules that match a path add up, those of all deny rules are taken away, and what no rule gives
is denied. The kernel matches bytes, so patterns are turned into expressions over bytes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_PROFILE = re.compile(r"profile (\S+)(?: flags=\(([a-z_, ]+)\))? \{")
_FILE = re.compile(
    r"(?P<words>(?:(?:audit|deny|allow|owner|file) )*)"
    r'"(?P<path>(?:[^"\\]|\\.)+)" (?P<perms>[a-zA-Z]+)(?: -> \S+)?,'
)
_NETWORK = re.compile(r"(?:audit )?(?P<deny>deny )?network(?: (?P<family>[a-z0-9]+))?(?: (?P<type>[a-z]+))?,")
# Rules that say nothing of files and of the internet.
_OTHERS = (
    *(
        "capability",
        "signal",
        "ptrace",
        "unix",
        "dbus",
        "change_profile",
        "mount",
        "umount",
        "remount",
        "pivot_root",
    ),
    *(
        "userns",
        "io_uring",
        "mqueue",
        "set rlimit",
        "deny capability",
        "audit deny capability",
        "audit capability",
    ),
)
_LETTERS = {"read": "r", "write": "w", "execute": "x"}


class Confinement:
    """The outermost profile of a text. Raises ``ValueError`` for a rule that is not known."""

    def __init__(self, text: str) -> None:
        self.allowed: list[tuple[re.Pattern[bytes], set[str]]] = []
        self.denied: list[tuple[re.Pattern[bytes], set[str]]] = []
        self.families: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()
        self.complains = False
        depth = 0
        for raw in text.split("\n"):
            line = raw.strip()
            if not line or line.startswith(("#", "abi ", "include ")):
                continue
            if head := _PROFILE.fullmatch(line):
                depth += 1
                self.complains |= depth == 1 and "complain" in (head[2] or "")
            elif line in ("}", "},"):
                depth -= 1
            elif depth == 1:
                self._rule(line)
            elif depth < 1:
                raise ValueError(f"outside of a profile: {line!r}")

    def _rule(self, line: str) -> None:
        if found := _FILE.fullmatch(line):
            rules = self.denied if "deny" in found["words"] else self.allowed
            rules.append((re.compile(b"".join(expression(found["path"])), re.DOTALL), set(found["perms"])))
        elif found := _NETWORK.fullmatch(line):
            rules_ = self.refused if found["deny"] else self.families
            rules_.add((found["family"] or "", found["type"] or ""))
        elif not line.startswith(_OTHERS):
            raise ValueError(f"{line!r} is not known")

    def allows(self, action: str, path: str) -> bool:
        """read, write or execute of a literal path."""
        there, letter = path.encode(), _LETTERS[action]

        def given(rules: list[tuple[re.Pattern[bytes], set[str]]]) -> bool:
            return any(letter in perms and pattern.fullmatch(there) for pattern, perms in rules)

        return not given(self.denied) and (self.complains or given(self.allowed))

    def opens(self, family: str, kind: str) -> bool:
        """A socket of a family (inet, inet6, unix) and a type (stream, dgram)."""

        def among(rules: set[tuple[str, str]]) -> bool:
            return any(one in ("", family) and other in ("", kind) for one, other in rules)

        return not among(self.refused) and (self.complains or among(self.families))


def expression(pattern: str) -> Iterator[bytes]:
    """The pieces of a regular expression over bytes for a pattern inside of double quotes."""
    position, depth = 0, 0
    while position < len(pattern):
        rest = pattern[position:]
        if octal := re.match(r"\\([0-3][0-7]{2})", rest):
            yield re.escape(bytes([int(octal[1], 8)]))
            position += 4
        elif rest[0] == "\\":
            yield re.escape(rest[1].encode())
            position += 2
        elif rest.startswith("**"):
            # At the end of a component it wants one byte at least, as `*` does behind a slash.
            yield rb".+" if pattern[:position].endswith("/") else rb".*"
            position += 2
        elif rest[0] == "*":
            yield rb"[^/\0]+" if pattern[:position].endswith("/") else rb"[^/\0]*"
            position += 1
        elif rest[0] == "?":
            yield rb"[^/\0]"
            position += 1
        elif found := re.match(r"\[(\^?)((?:[^\]\\]|\\[0-3][0-7]{2}|\\.)+)\]", rest):
            inside = re.sub(r"\\([0-3][0-7]{2})", lambda one: f"\\x{int(one[1], 8):02x}", found[2])
            yield f"[{found[1]}{inside}]".encode()
            position += found.end()
        elif rest[0] in "{},":
            if rest[0] == "," and not depth:
                yield b","
            else:
                depth += {"{": 1, "}": -1, ",": 0}[rest[0]]
                yield {"{": b"(?:", "}": b")", ",": b"|"}[rest[0]]
            position += 1
        elif rest.startswith("@{"):
            raise ValueError(f"a variable: {pattern!r}")
        else:
            yield re.escape(rest[0].encode())
            position += 1
    if depth:
        raise ValueError(f"an open brace: {pattern!r}")
