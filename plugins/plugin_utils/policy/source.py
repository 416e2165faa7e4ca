# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A parsed file: plain data in which every key and value still knows its line and column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .faults import Fault
from .model import Origin

Place = tuple[str | int, ...]
Mark = tuple[int, int]  # line and column, both from 0


def place_text(place: Place) -> str:
    """``("filesystem", "write", 0)`` as people write it: ``filesystem.write[0]``."""
    text = ""
    for step in place:
        shown = "".join(c if c.isprintable() else "?" for c in str(step))[:64]
        text += f"[{step}]" if isinstance(step, int) else f".{shown}" if text else shown
    return text


@dataclass
class Source:
    """A parsed file. ``values`` and ``keys`` hold marks by place; ``faults`` are those of the text itself."""

    file: str
    lines: list[str]
    data: Any = None
    values: dict[Place, Mark] = field(default_factory=dict)
    keys: dict[Place, Mark] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    bad: set[Place] = field(default_factory=set)

    def fault(self, place: Place, message: str, help_text: str = "", *, key: bool = False) -> Fault:
        mark = self.keys.get(place) if key else None
        while mark is None and place not in self.values and place:
            place = place[:-1]
        return self.fault_at(mark or self.values.get(place, (0, 0)), message, help_text, place)

    def fault_at(self, mark: Mark, message: str, help_text: str = "", place: Place = ()) -> Fault:
        origin = Origin(self.file, mark[0] + 1, mark[1] + 1)
        # What is set in the environment may be sensitive: say where it is, do not show it.
        hidden = place[:2] == ("environment", "set")
        return Fault(message, help_text, place_text(place), origin, "" if hidden else self.excerpt(mark))

    def excerpt(self, mark: Mark, width: int = 100) -> str:
        """The source line and a caret below the value; long lines are cut around it."""
        line, column = mark
        if line >= len(self.lines):
            return ""
        text = self.lines[line]
        start = max(0, min(column - width // 2, len(text) - width))
        shown = "".join(c if c.isprintable() else " " for c in text[start : start + width]).rstrip()
        number = f"{line + 1:>6} | "
        return f"{number}{shown}\n{' ' * (len(number) - 2)}| {' ' * (column - start)}^"


@dataclass(frozen=True)
class Node:
    """A value with its place: what resolving works on."""

    value: Any
    place: Place
    source: Source

    @property
    def text(self) -> str:
        return place_text(self.place)

    @property
    def origin(self) -> Origin:
        line, column = self.source.values.get(self.place, (0, 0))
        return Origin(self.source.file, line + 1, column + 1)

    def fault(self, message: str, help_text: str = "", *, key: bool = False) -> Fault:
        return self.source.fault(self.place, message, help_text, key=key)

    def get(self, *keys: str) -> Node | None:
        """The value below ``keys``, or None where the document has none."""
        value, place = self.value, self.place
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                return None
            value, place = value[key], (*place, key)
        return Node(value, place, self.source)

    def each(self, *keys: str) -> Iterator[Node]:
        """The items of the list below ``keys``; nothing where there is none, and no items cut."""
        found = self.get(*keys)
        if found is not None and isinstance(found.value, list):
            for number, value in enumerate(found.value):
                if value is not GONE:
                    yield Node(value, (*found.place, number), self.source)

    def entries(self, *keys: str) -> Iterator[tuple[str, Node]]:
        """The keys and values of the mapping below ``keys``."""
        found = self.get(*keys)
        if found is not None and isinstance(found.value, dict):
            for key, value in found.value.items():
                yield key, Node(value, (*found.place, key), self.source)


class _Gone:
    """What stands in a list for an item that was at fault, so that the others keep their numbers."""

    def __repr__(self) -> str:
        return "GONE"


GONE = _Gone()
