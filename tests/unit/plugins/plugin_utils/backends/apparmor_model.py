# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of the profiles that we write, and what AppArmor makes of them (apparmor.d(5)).

It shares no code with the writer. Anything that is not of the few forms below is a fault. ``allows`` answers as the
kernel does: all rules that match add up, and a deny rule beats them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = r"[a-z0-9][a-z0-9_-]*"
_PEER = rf"bulkhead\.{_NAME}(//{_NAME})?"
_HEAD = re.compile(rf"profile (bulkhead\.{_NAME}) flags=\(([a-z_, ]+)\) \{{")
_CHILD = re.compile(rf"  profile ({_NAME}) flags=\(([a-z_, ]+)\) \{{")
_CHANGE = re.compile(rf'  "((?:[^"\\]|\\.)*)" mrkpx -> (bulkhead\.{_NAME})//&(bulkhead\.{_NAME})//({_NAME}),')
_FILE = re.compile(r'  (audit deny |audit )?"((?:[^"\\]|\\.)*)" ([a-z]+),')
_FLAGS = {"complain", "attach_disconnected", "mediate_deleted"}
_OTHER = (
    re.compile(r"  capability [a-z_]+,"),
    re.compile(r"  network (inet6?|unix|netlink|packet|bluetooth|vsock) (stream|dgram|seqpacket|raw),"),
    re.compile(rf"  signal \((send|receive)\)( peer={_PEER})?,"),
    re.compile(rf"  ptrace( \(read, readby\) peer={_PEER})?,"),
    re.compile(r"  (mount|umount|remount|pivot_root),"),
)
_ALLOWED = re.compile(r"m?r?w?k?l?(ix)?")
_DENIED = re.compile(r"m?r?w?k?l?x?")


@dataclass(frozen=True)
class FileRule:
    where: str
    matches: re.Pattern[bytes]
    may: frozenset[str]
    deny: bool
    audit: bool


class Profile:
    """A profile out of its text. Raises ValueError for what is not of our own forms."""

    def __init__(self, text: str) -> None:
        if not text.isascii() or not text.endswith("\n"):
            raise ValueError("not lines of ASCII")
        lines = text[:-1].split("\n")
        if not lines[0].startswith("# ") or lines[1:3] != ["abi <abi/3.0>,", ""] or lines[-1] != "}":
            raise ValueError(f"not begun and ended as ours: {lines[:3]}, {lines[-1]!r}")
        head = _HEAD.fullmatch(lines[3])
        if not head:
            raise ValueError(f"no head: {lines[3]!r}")
        self._read(head[1], head[2], lines[4:-1])

    def _read(self, name: str, flags: str, lines: list[str]) -> None:
        self.name, self.flags = name, frozenset(flags.split(", "))
        if not self.flags <= _FLAGS:
            raise ValueError(f"flags: {sorted(self.flags)}")
        self.files: list[FileRule] = []
        self.others: list[str] = []
        self.children: dict[str, Profile] = {}
        self.changes: dict[bytes, str] = {}  # program -> child that it changes to
        at = 0
        while at < len(lines):
            line = lines[at]
            at += 1
            found, child, change = _FILE.fullmatch(line), _CHILD.fullmatch(line), _CHANGE.fullmatch(line)
            if found:
                self.files.append(_rule(*found.groups()))
            elif change and change[2] == change[3] == self.name:
                self.changes[_literal(change[1])] = change[4]
                self.files.append(_rule(None, change[1], "mrkix"))
            elif child:
                end = lines.index("  }", at)
                inside = [
                    text.removeprefix("  ") if text.startswith("    ") else text for text in lines[at:end]
                ]
                self.children[child[1]] = Profile.__new__(Profile)
                self.children[child[1]]._read(child[1], child[2], inside)
                at = end + 1
            elif any(form.fullmatch(line) for form in _OTHER):
                self.others.append(line.strip().removesuffix(","))
            else:
                raise ValueError(f"no rule of ours: {line!r}")
        if set(self.changes.values()) != set(self.children):
            raise ValueError(f"changes to {sorted(self.changes.values())}, children {sorted(self.children)}")

    def allows(self, path: str, letter: str) -> bool:
        """Whether ``letter`` (one of r w k l m x) is allowed on a path; a directory ends in '/'."""
        found = [rule for rule in self.files if letter in rule.may and rule.matches.fullmatch(path.encode())]
        return any(not rule.deny for rule in found) and not any(rule.deny for rule in found)


def _literal(where: str) -> bytes:
    """The one path that a rule without a pattern is about."""
    tokens = list(_tokens(where))
    if any(special for _text, special in tokens):
        raise ValueError(f"a pattern: {where!r}")
    return b"".join(text for text, _special in tokens)


def _rule(kind: str | None, where: str, may: str) -> FileRule:
    deny = kind == "audit deny "
    if not (_DENIED if deny else _ALLOWED).fullmatch(may) or not may:
        raise ValueError(f"permissions {may!r}")
    return FileRule(
        where, re.compile(_regex(where), re.DOTALL), frozenset(may.replace("ix", "x")), deny, bool(kind)
    )


def _regex(where: str) -> bytes:
    """A path pattern as a regular expression over bytes."""
    if not where.startswith(("/", "{")):
        raise ValueError(f"no path: {where!r}")
    tokens = list(_tokens(where))
    made, depth, at = b"", 0, 0
    while at < len(tokens):
        text, special = tokens[at]
        before = tokens[at - 1][0] if at else b""
        at += 1
        if not special:
            made += re.escape(text)
        elif text == b"**":
            ends = at == len(tokens) or tokens[at] in ((b"}", True), (b",", True))
            made += rb"[^/\x00][^\x00]*" if before == b"/" and ends else rb"[^\x00]*"
        elif text == b"*":
            ends = at == len(tokens) or tokens[at][0] in (b"/", b"}", b",")
            made += rb"[^/\x00]+" if before == b"/" and ends else rb"[^/\x00]*"
        elif text == b"{":
            made, depth = made + b"(?:", depth + 1
        elif text == b"}":
            made, depth = made + b")", depth - 1
        elif text == b",":
            if not depth:
                raise ValueError(f"a comma outside of braces: {where!r}")
            made += b"|"
        elif text.startswith(b"["):
            made += text
        else:
            raise ValueError(f"{text!r} in {where!r}")
        if depth < 0:
            raise ValueError(f"braces: {where!r}")
    if depth:
        raise ValueError(f"braces: {where!r}")
    return made


def _tokens(where: str):
    """(bytes, whether they mean something) of a pattern."""
    at = 0
    while at < len(where):
        char = where[at]
        if char == "\\":
            text, at = _escaped(where, at)
            yield text, False
        elif char == "[":
            end = at + 1
            inside = b""
            negated = where[end] == "^"
            end += negated
            while where[end] != "]":
                if where[end] == "\\":
                    text, end = _escaped(where, end)
                    inside += re.escape(text)
                elif where[end] == "-":
                    inside, end = inside + b"-", end + 1
                else:
                    inside, end = inside + re.escape(where[end].encode()), end + 1
            yield b"[" + (b"^\x00" if negated else b"") + inside + b"]", True
            at = end + 1
        elif where.startswith("**", at):
            yield b"**", True
            at += 2
        elif char in "*{},":
            yield char.encode(), True
            at += 1
        elif char in '?]^"' or (char == "@" and where[at + 1 : at + 2] == "{"):
            raise ValueError(f"{char!r} is not escaped in {where!r}")
        else:
            yield char.encode(), False
            at += 1


def _escaped(where: str, at: int) -> tuple[bytes, int]:
    octal = re.match(r"\\([0-3][0-7]{2})", where[at:])
    if octal:
        return bytes([int(octal[1], 8)]), at + 4
    if where[at + 1].isalnum():
        raise ValueError(f"an escape of a letter in {where!r}")
    return where[at + 1].encode(), at + 2
