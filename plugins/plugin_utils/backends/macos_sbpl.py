# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SBPL, the language of macOS sandbox profiles: its strings, its filters, and a profile line by line.

A profile is rejected as a whole when one rule is wrong, so there are flat rules only: no definitions, no
imports, no parameters. Apple publishes no grammar; what is used here is what public profiles use.
"""

from __future__ import annotations

import re

from .base import BackendError

_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f-\u009f\u2028\u2029\ud800-\udfff]")
_PLAIN = re.compile(r"[A-Za-z0-9_/ -]")
_CLASS = re.compile(r"\[(!?)([A-Za-z0-9_.-]+)\]")


def quote(value: str) -> str:
    """A string of SBPL. Raises ``BackendError`` for what it has no spelling for."""
    if _UNSPEAKABLE.search(value):
        raise BackendError(
            f"{value!r} has a character that a sandbox profile cannot carry: write it without."
        )
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def subpath(path: str) -> str:
    return f"(subpath {quote(path)})"


def literal(path: str) -> str:
    return f"(literal {quote(path)})"


def pattern(glob: str, *, tree: bool = True) -> str:
    """A shell pattern as a regular expression filter; a component's ``*`` stays within its component.

    ``tree``: what lies below a match is meant too. A regex filter has a raw string, ``#"..."``, which cannot
    hold a quotation mark.
    """
    if _UNSPEAKABLE.search(glob) or '"' in glob:
        raise BackendError(f"{glob!r} has a character that a sandbox pattern cannot carry: write it without.")
    text, rest = "", glob
    while rest:
        if found := _CLASS.match(rest):
            text += f"[^/{found[2]}]" if found[1] else f"[{found[2]}]"
            rest = rest[found.end() :]
            continue
        character, rest = rest[0], rest[1:]
        if character == "[":
            raise BackendError(
                f"{glob!r} has a bracket with more than letters and digits: name the paths instead."
            )
        if character in "*?":
            text += "[^/]" + ("*" if character == "*" else "")
        else:
            text += character if _PLAIN.match(character) or ord(character) > 127 else "\\" + character
    return f'(regex #"^{text}' + ('(/|$)")' if tree else '$")')


class Profile:
    """Lines of a profile with the clauses that made them. In audit mode a denial becomes a report.

    Among rules with a filter the last match wins; a rule without one sets the default of its operation.
    """

    def __init__(self, *, audit: bool) -> None:
        self.audit = audit
        self.lines: list[tuple[str, list[str]]] = []

    def text(self, line: str, clause: str = "") -> None:
        """Add a line, or a further clause to the last one where it says the same."""
        if not self.lines or self.lines[-1][0] != line:
            self.lines.append((line, []))
        if clause and clause not in self.lines[-1][1]:
            self.lines[-1][1].append(clause)

    def allow(self, operations: str, filters: list[str], clause: str = "") -> None:
        self.text(f"(allow {operations}{''.join(' ' + item for item in filters)})", clause)

    def deny(self, operations: str, filters: list[str], clause: str = "") -> None:
        joined = "".join(" " + item for item in filters)
        rule = f"(allow {operations}{joined} (with report))" if self.audit else f"(deny {operations}{joined})"
        self.text(rule, clause)

    def default(self, operations: str, clause: str = "") -> None:
        """Deny an operation by default. Left out in audit mode, where everything is allowed by default."""
        if not self.audit:
            self.text(f"(deny {operations})", clause)

    def render(self) -> tuple[bytes, tuple[tuple[int, str], ...]]:
        """The profile's bytes, and (line number, clause) pairs."""
        content = "".join(line + "\n" for line, _unused in self.lines).encode("utf-8")
        numbered = enumerate(self.lines, start=1)
        return content, tuple(
            (number, clause) for number, (_unused, clauses) in numbered for clause in clauses
        )
