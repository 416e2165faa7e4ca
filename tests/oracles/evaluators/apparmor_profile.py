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
    r'"(?P<path>(?:[^"\\]|\\.)+)" (?P<perms>[a-zA-Z]+)(?: -> (?P<into>\S+))?,'
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
    """The outermost profile of a text and those inside of it. Raises ``ValueError`` for a rule that is not known.

    ``changes``: for each program that has a rule of its own to change profile, the names of the profiles that it runs
    under from then on. Who runs under several may do what each of them allows.
    """

    def __init__(self, text: str) -> None:
        self._empty("", "")
        open_: list[Confinement] = []
        for raw in text.split("\n"):
            line = raw.strip()
            if not line or line.startswith(("#", "abi ", "include ")):
                continue
            if head := _PROFILE.fullmatch(line):
                if open_:
                    inner = Confinement.__new__(Confinement)
                    inner._empty(f"{open_[-1].name}//{head[1]}", head[2])
                    open_[-1].children[inner.name] = inner
                    open_.append(inner)
                else:
                    self._empty(head[1], head[2])
                    open_.append(self)
            elif line in ("}", "},"):
                open_.pop()
            elif open_:
                open_[-1]._rule(line)
            else:
                raise ValueError(f"outside of a profile: {line!r}")

    def _empty(self, name: str, flags: str | None) -> None:
        self.name, self.complains = name, "complain" in (flags or "")
        self.allowed: list[tuple[re.Pattern[bytes], set[str]]] = []
        self.denied: list[tuple[re.Pattern[bytes], set[str]]] = []
        self.families: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()
        self.changes: dict[bytes, tuple[str, ...]] = {}
        self.children: dict[str, Confinement] = {}

    def started(self, program: str) -> tuple[Confinement, ...]:
        """The profiles that ``program`` runs under once it is started from here."""
        names = self.changes.get(program.encode(), (self.name,))
        known = {self.name: self, **self.children}
        if missing := set(names) - set(known):
            raise ValueError(f"no such profile: {sorted(missing)}")
        return tuple(known[name] for name in names)

    def _rule(self, line: str) -> None:
        if found := _FILE.fullmatch(line):
            rules = self.denied if "deny" in found["words"] else self.allowed
            rules.append((re.compile(b"".join(expression(found["path"])), re.DOTALL), set(found["perms"])))
            if found["into"]:
                own = f"{self.name}//" if "c" in found["perms"].lower() else ""
                self.changes[literal(found["path"])] = tuple(
                    f"{own}{name}" for name in found["into"].split("//&")
                )
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


def literal(path: str) -> bytes:
    """The path of a rule without a pattern; raises ``ValueError`` for any other."""
    if re.search(r"(?<!\\)(?:\\\\)*[*?\[\]{}]", path):
        raise ValueError(f"a pattern: {path!r}")
    return re.sub(
        rb"\\([0-3][0-7]{2}|.)",
        lambda one: bytes([int(one[1], 8)]) if len(one[1]) == 3 else one[1],
        path.encode(),
    )


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
