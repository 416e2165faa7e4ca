# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of systemd's unit files: the one quoting function, and a drop-in that knows whose each line is."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from .base import BackendError

# Written in the order given, not sorted: the first line decides between allow list and deny list, a command comes
# after the one that it builds upon.
ORDERED = frozenset({"SystemCallFilter", "ExecCondition"})

# Lists that grow with every assignment and that an empty one clears (tried on 252 and 257). Where ours must be
# exact, what the vendor wrote before is cleared first: an inherited ReadWritePaths=/ would undo everything.
# BindPaths and BindReadOnlyPaths share one list: clearing the second would take away what the first just bound.
RESET = frozenset(
    [
        "ReadWritePaths",
        "ReadOnlyPaths",
        "InaccessiblePaths",
        "ExecPaths",
        "NoExecPaths",
        "TemporaryFileSystem",
        "BindPaths",
        "SystemCallFilter",
        "SystemCallArchitectures",
        "RestrictAddressFamilies",
        "CapabilityBoundingSet",
        "AmbientCapabilities",
        "DeviceAllow",
        "IPAddressAllow",
        "IPAddressDeny",
        "SocketBindAllow",
        "SocketBindDeny",
        "PassEnvironment",
        "ExecStart",
        "ExecStartPre",
        "ExecStartPost",
        "ExecReload",
        "ExecStop",
        "ExecStopPost",
        "ExecCondition",
    ]
)

_SECTIONS = ("Unit", "Service", "Slice", "Install")
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})


def check(value: str, clause: str) -> None:
    """Raises BackendError for what no line of a unit file can carry, quoted or not."""
    if not value:
        raise BackendError(
            f"An empty value cannot stand in a unit file ({clause}): write one or remove the entry."
        )
    for char in value:
        if unicodedata.category(char) in _UNSEEN:
            raise BackendError(
                f"{value!r} holds the control character {char!r}, which no unit file can carry ({clause}): remove it."
            )


def quote(value: str, clause: str, *, bare: bool = False) -> str:
    """``value`` as one word of a directive, specifiers and quotes made harmless.

    ``bare``: the directive takes the rest of the line as it is and knows no quotes (LoadCredential=); what cannot
    stand there unquoted is refused. Raises BackendError for what no unit file can carry.
    """
    check(value, clause)
    text = value.replace("%", "%%")
    if bare:
        # systemd 257 hands such a value on unquoted to the process that starts the unit, which then fails on a space.
        if any(char.isspace() or char in "\"'\\" for char in value):
            raise BackendError(f"{value!r} cannot stand unquoted in a unit file ({clause}): rename it.")
        return text
    if all(char.isascii() and (char.isalnum() or char in "/._-%+@=~:,") for char in text):
        return text
    # Inside of double quotes only these two mean something, in all of systemd's word splitters.
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass
class UnitText:
    """Directives with the clause that made each. ``render`` gives the bytes and the clause of every line."""

    header: str
    dropin: bool = False  # clear what other files of the unit wrote to a list before writing ours
    _lines: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)

    def set(self, key: str, value: str, clause: str, section: str = "Service") -> None:
        """A scalar. The first to set it keeps it; another value for it is a fault of ours, not of the policy."""
        have = self._lines.setdefault((section, key), [(value, clause)])
        if have[0][0] != value:
            raise AssertionError(f"{key} is set to {have[0][0]} and to {value}")

    def add(self, key: str, value: str, clause: str, section: str = "Service") -> None:
        """One entry of a list, already quoted. An entry that is there already stays its first clause's."""
        have = self._lines.setdefault((section, key), [])
        if value not in [text for text, _unused in have]:
            have.append((value, clause))

    def clear(self, key: str, clause: str, section: str = "Service") -> None:
        """An empty list: nothing of what others wrote remains."""
        self._lines.setdefault((section, key), []).append(("", clause))

    def values(self, key: str, section: str = "Service") -> list[str]:
        """What the directive is set to, as it will be written, without the clearing line."""
        return [text for text, _unused in self._entries(section, key) if text]

    def __contains__(self, key: str) -> bool:
        return any(name == key for _unused, name in self._lines)

    def render(self) -> tuple[bytes, tuple[tuple[int, str], ...]]:
        """The file's bytes and its (line number from 1, clause id) pairs."""
        text = [f"# {self.header}"]
        owners: list[tuple[int, str]] = []
        for section in _SECTIONS:
            keys = sorted(key for name, key in self._lines if name == section)
            if not keys:
                continue
            text += ["", f"[{section}]"]
            for key in keys:
                entries = self._entries(section, key)
                if self.dropin and key in RESET and entries[0][0]:
                    entries = [("", entries[0][1]), *entries]
                for value, clause in entries:
                    text.append(f"{key}={value}")
                    if clause:
                        owners.append((len(text), clause))
        return ("\n".join(text) + "\n").encode(), tuple(owners)

    def _entries(self, section: str, key: str) -> list[tuple[str, str]]:
        entries = self._lines.get((section, key), [])
        return entries if key in ORDERED else sorted(entries)
