# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict reader of the profiles that we write, and what AppArmor makes of them (apparmor.d(5)).

It shares no code with the writer. Anything that is not of the few forms below is a fault. ``allows`` answers as the
kernel does: all rules that match add up, and a deny rule beats them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEAD = re.compile(r"profile (bulkhead\.[a-z0-9][a-z0-9_-]*) flags=\(([a-z_, ]+)\) \{")
_FILE = re.compile(r'  (audit deny |audit )?"((?:[^"\\]|\\.)*)" ([a-z]+),')
_FLAGS = {"complain", "attach_disconnected", "mediate_deleted"}
_OTHER = (
    re.compile(r"  capability [a-z_]+,"),
    re.compile(r"  network (inet6?|unix|netlink|packet|bluetooth|vsock) (stream|dgram|seqpacket|raw),"),
    re.compile(r"  signal \((send|receive)\)( peer=bulkhead\.[a-z0-9][a-z0-9_-]*)?,"),
    re.compile(r"  ptrace( \(read, readby\) peer=bulkhead\.[a-z0-9][a-z0-9_-]*)?,"),
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
        self.name, self.flags = head[1], frozenset(head[2].split(", "))
        if not self.flags <= _FLAGS:
            raise ValueError(f"flags: {sorted(self.flags)}")
        self.files: list[FileRule] = []
        self.others: list[str] = []
        for line in lines[4:-1]:
            found = _FILE.fullmatch(line)
            if found:
                self.files.append(_rule(*found.groups()))
            elif any(form.fullmatch(line) for form in _OTHER):
                self.others.append(line.strip().removesuffix(","))
            else:
                raise ValueError(f"no rule of ours: {line!r}")

    def allows(self, path: str, letter: str) -> bool:
        """Whether ``letter`` (one of r w k l m x) is allowed on a path; a directory ends in '/'."""
        found = [rule for rule in self.files if letter in rule.may and rule.matches.fullmatch(path.encode())]
        return any(not rule.deny for rule in found) and not any(rule.deny for rule in found)


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
