# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML text to plain data in which every key and value still knows its line and column.

Built from the parser's events rather than by its constructor: events come one by one, so nesting, size and
aliases can be bounded before anything is built, and scalars follow YAML 1.2 (``on`` and ``no`` are words).
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import yaml

from .faults import Fault, quote
from .source import Mark, Place, Source

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_NODES = 20_000

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# Characters that are not seen, besides those that Unicode calls format controls (Cf: reading direction, joiners, tags):
# what a reviewer sees would not be what is enforced. Variation selectors, and letters that are blank.
_UNSEEN = frozenset(
    (
        *map(chr, range(0xFE00, 0xFE10)),
        *map(chr, range(0xE0100, 0xE01F0)),
        *"\u034f\u115f\u1160\u180b\u3164\uffa0\u2800",
    )
)
# YAML 1.2.2, section 10.3.2 (core schema). YAML 1.1 would read `on:` in a waiver as true.
_CORE = (
    (re.compile(r"null|Null|NULL|~|"), lambda text: None),
    (re.compile(r"true|True|TRUE"), lambda text: True),
    (re.compile(r"false|False|FALSE"), lambda text: False),
    (re.compile(r"[-+]?[0-9]{1,18}"), int),
    (re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}(\.[0-9]{0,18})?)([eE][-+]?[0-9]{1,2})?"), float),
)
_STRING_TAGS = (None, "!", "tag:yaml.org,2002:str")


def parse(file: str, raw: bytes) -> Source:
    """Parse the bytes of ``file``. Never raises: what is wrong stands in ``faults``.

    ``data`` is None where the text is no YAML; else ``bad`` names the values that are at fault.
    """
    source = Source(file, [])
    if len(raw) > MAX_BYTES:
        kept = raw[:MAX_BYTES].decode("utf-8", "replace")
        source.lines = _lines(kept)
        end = (len(source.lines) - 1, len(source.lines[-1]))
        message = f"the file is larger than {MAX_BYTES // 1024} KiB, which end here."
        source.faults.append(source.fault_at(end, message, "split it: one policy is one application"))
        return source
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Shown as far as it can be read: the line itself, and a mark in place of each such byte.
        source.lines = _lines(raw.decode("utf-8-sig", "replace"))
        before = _lines(raw[: error.start].decode("utf-8-sig"))
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8."
        source.faults.append(
            source.fault_at((len(before) - 1, len(before[-1])), message, "save the file as UTF-8")
        )
        return source
    source.lines = _lines(text)
    try:
        _Builder(source).run(yaml.parse(text, Loader=_PARSER))
    except _Stop as stop:
        source.faults.append(source.fault_at(stop.mark, stop.message, stop.help_text))
        source.data = None
    except yaml.MarkedYAMLError as error:
        source.faults.append(_syntax_fault(source, error))
        source.data = None
    except yaml.YAMLError as error:
        position = getattr(error, "position", 0)
        source.faults.append(source.fault_at(_mark_of(text, position), *_unreadable(error)))
        source.data = None
    return source


def _lines(text: str) -> list[str]:
    # As YAML counts them, so that a mark of its parser is a place here (YAML 1.1, 5.4; 1.2 took the last three away).
    return re.split("\r\n|[\r\n\x85\u2028\u2029]", text)


def _start(event: Any) -> Mark:
    return event.start_mark.line, event.start_mark.column


class _Stop(Exception):
    def __init__(self, event: Any, message: str, help_text: str) -> None:
        super().__init__(message)
        self.mark = _start(event)
        self.message, self.help_text = message, help_text


class _Builder:
    """Events to data, without recursion."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.stack: list[tuple[Any, Place]] = []
        self.key: list[str | None] = []
        self.nodes = 0
        self.documents = 0
        self.told: set[str] = set()  # anchors

    def run(self, events: Any) -> None:
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    raise _Stop(
                        event,
                        "a second YAML document begins here.",
                        "write one policy per file, without '---'",
                    )
            elif isinstance(event, yaml.AliasEvent):
                self.alias(event)
            elif isinstance(event, yaml.NodeEvent):
                self.node(event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self.stack.pop()
                self.key.pop()

    def node(self, event: Any) -> None:
        self.count(event)
        mark = _start(event)
        if self.expects_key():
            self.begin_key(event, mark)
            return
        place = self.place()
        self.source.values[place] = mark
        if event.tag not in _STRING_TAGS:
            self.wrong(
                place,
                mark,
                f"the tag {quote(event.tag)} is not part of the policy language.",
                "write the plain value",
            )
        if isinstance(event, yaml.ScalarEvent):
            self.attach(place, self.scalar(event, place, mark))
            return
        if len(self.stack) >= MAX_DEPTH:
            raise _Stop(event, f"nested deeper than {MAX_DEPTH} levels.", "no part of a policy is that deep")
        value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
        self.attach(place, value)
        self.stack.append((value, place))
        self.key.append(None)

    def alias(self, event: Any) -> None:
        """A fault, told once for each anchor; the rest of the file is looked at all the same."""
        self.count(event)
        name, mark = f"*{event.anchor}", _start(event)
        if self.expects_key():
            self.key[-1] = name
            place = (*self.stack[-1][1], name)
            self.source.keys.setdefault(place, mark)
        else:
            place = self.place()
            self.source.values[place] = mark
            self.attach(place, None)
        if event.anchor in self.told:
            self.source.bad.add(place)
            return
        self.told.add(event.anchor)
        message = f"the alias {quote(name)} is not part of the policy language."
        self.wrong(place, mark, message, "write the value out")

    def expects_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1][0], dict) and self.key[-1] is None

    def count(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _Stop(
                event,
                f"the file holds more than {MAX_NODES} values.",
                "split it: one policy is one application",
            )

    def begin_key(self, event: Any, mark: Mark) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            raise _Stop(event, "a list or a mapping stands where a key is expected.", "write 'key: value'")
        holder, place = self.stack[-1]
        key = event.value
        here = (*place, key)
        self.source.keys.setdefault(here, mark)
        if key in holder:
            first = self.source.keys[here][0] + 1
            message = f"the key {quote(key)} is given twice, first on line {first}."
            self.source.faults.append(self.source.fault_at(mark, message, "keep one of them", here))
        problem = _unprintable(key)
        if problem:
            self.wrong(here, mark, f"the key {quote(key)} holds {problem}.", "write printable characters")
        self.key[-1] = key

    def place(self) -> Place:
        if not self.stack:
            return ()
        holder, place = self.stack[-1]
        return (*place, len(holder)) if isinstance(holder, list) else (*place, str(self.key[-1]))

    def attach(self, place: Place, value: Any) -> None:
        if not self.stack:
            self.source.data = value
            return
        holder = self.stack[-1][0]
        if isinstance(holder, list):
            holder.append(value)
        else:
            holder[self.key[-1]] = value
            self.key[-1] = None

    def scalar(self, event: Any, place: Place, mark: Mark) -> Any:
        problem = _unprintable(event.value)
        if problem:
            shown = "the value" if place[:2] == ("environment", "set") else f"the value {quote(event.value)}"
            fix = (
                "write it on one line, or behind '>-'" if "line" in problem else "write printable characters"
            )
            self.wrong(place, mark, f"{shown} holds {problem}.", fix)
        if event.implicit[0]:  # a plain scalar without a tag
            for pattern, construct in _CORE:
                if pattern.fullmatch(event.value):
                    value = construct(event.value)
                    return event.value if value is not None and _as_written(place) else value
        return event.value

    def wrong(self, place: Place, mark: Mark, message: str, help_text: str) -> None:
        self.source.faults.append(self.source.fault_at(mark, message, help_text, place))
        self.source.bad.add(place)


def _as_written(place: Place) -> bool:
    """Where a value is somebody else's text: 3.10, 0644 and 1e22 mean what they look like, not the number."""
    return (
        place[:2] == ("environment", "set")
        or place[:1] == ("overrides",)
        or (place[:1] == ("health",) and place[2:3] == ("command",))
    )


def _unprintable(text: str) -> str:
    for character in text:
        if character in "\n\r\u0085\u2028\u2029":
            return "a line break"
        category = unicodedata.category(character)
        if category in ("Cc", "Cf", "Cs") or character in _UNSEEN:
            return f"the control character U+{ord(character):04X}"
    return ""


def _syntax_fault(source: Source, error: yaml.MarkedYAMLError) -> Fault:
    found = error.problem_mark or error.context_mark
    mark = (found.line, found.column) if found else (0, 0)
    if mark[0] >= len(source.lines):  # the end of a file whose last line has no end
        mark = (len(source.lines) - 1, len(source.lines[-1]))
    line = source.lines[mark[0]] if mark[0] < len(source.lines) else ""
    if "\t" in line[: mark[1] + 1]:
        tab = line.index("\t")
        return source.fault_at((mark[0], tab), "a tab stands where YAML wants spaces.", "indent with spaces")
    return source.fault_at(
        mark, f"not valid YAML: {error.problem or 'cannot be read'}.", _hint(error.problem or "")
    )


def _hint(problem: str) -> str:
    if "directive" in problem or "incompatible" in problem:
        return "remove the line: a policy has no directive ('%')"
    if "document" in problem:
        return "remove what ends the document ('...') and what stands after it"
    if "mapping values" in problem or "':'" in problem:
        return "put a value that holds ': ' into quotes, or look for a wrong indentation"
    if "end of stream" in problem or "end of scalar" in problem or "flow" in problem or "',' or" in problem:
        return "close the bracket or the quote"
    if "block" in problem:
        return "indent the lines of one block alike"
    return "put the value into single quotes"


def _unreadable(error: yaml.YAMLError) -> tuple[str, str]:
    character = getattr(error, "character", None)
    shown = f" U+{character:04X}" if isinstance(character, int) else ""
    return f"the character{shown} is not allowed in YAML.", "remove it"


def _mark_of(text: str, position: int) -> Mark:
    before = text[: position if isinstance(position, int) else 0]
    return before.count("\n"), len(before) - (before.rfind("\n") + 1)
