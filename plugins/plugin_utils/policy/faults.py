# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be wrong with a policy, told so that a reader can repair it: place, value, reason, fix."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .model import Origin

SHOWN = 50  # faults that str() prints; the tuple holds all


class PolicyError(Exception):
    """Base class of everything that loading and resolving raise."""


class Refusal(PolicyError):
    """One value is wrong. ``help_text`` says what to write instead. Whoever knows the place adds it."""

    def __init__(self, message: str, help_text: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help_text = help_text


@dataclass(frozen=True)
class Fault:
    """One fault: where (file, line, column and the place in the document), what and how to repair it.

    ``excerpt`` is the source line with a caret under the value, two lines, or empty.
    """

    message: str
    help_text: str = ""
    place: str = ""
    origin: Origin = Origin()
    excerpt: str = ""

    def __str__(self) -> str:
        where = f"{self.origin.file}:{self.origin.line}:{self.origin.column}" if self.origin.line else ""
        head = ": ".join(part for part in (where or self.origin.file, self.place, self.message) if part)
        lines = [head, *self.excerpt.splitlines()]
        if self.help_text:
            lines.append(f"    fix: {self.help_text}.")
        return "\n".join(lines)


class PolicyFaults(PolicyError):
    """All faults of a policy at once, in the order of the document."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(
            sorted(dict.fromkeys(faults), key=lambda f: (f.origin.file, f.origin.line, f.origin.column))
        )
        super().__init__(str(self))

    def __str__(self) -> str:
        count = len(self.faults)
        head = f"{count} fault{'' if count == 1 else 's'} in the policy:"
        shown = [str(fault) for fault in self.faults[:SHOWN]]
        if count > SHOWN:
            shown.append(f"... and {count - SHOWN} more.")
        return "\n\n".join([head, *shown])


class FaultList:
    """Collects faults while the work goes on, so that a reader sees all of them in one run."""

    def __init__(self) -> None:
        self.items: list[Fault] = []

    def add(self, node: Any, message: str, help_text: str = "", *, key: bool = False) -> None:
        """Record a fault at ``node`` (a ``source.Node``), or at its key."""
        self.items.append(node.fault(message, help_text, key=key))

    @contextmanager
    def at(self, node: Any) -> Iterator[None]:
        """Turn a ``Refusal`` raised inside into a fault at ``node``."""
        try:
            yield
        except Refusal as refusal:
            self.add(node, refusal.message, refusal.help_text)

    def raise_any(self) -> None:
        if self.items:
            raise PolicyFaults(self.items)


def quote(value: Any, limit: int = 80) -> str:
    """A value in single quotes for a message: control characters escaped, long values cut."""
    text = value if isinstance(value, str) else plain(value)
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return f"'{text[: limit - 3]}...'" if len(text) > limit else f"'{text}'"


def plain(value: Any) -> str:
    """A scalar as YAML writes it; what a list or a mapping is, for the rest."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else str(value)


def did_you_mean(word: str, known: Iterable[str], what: str = "known here") -> str:
    """The fix for a misspelt name: the nearest known one, or all of them when they are few."""
    names = sorted(name for name in known if name.isprintable())
    near = difflib.get_close_matches(word[:64], names, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'" + (f"; {what}: {', '.join(names)}" if len(names) <= 8 else "")
    listed = ", ".join(names[:24]) + (", ..." if len(names) > 24 else "")
    return f"{what}: {listed}" if names else ""
