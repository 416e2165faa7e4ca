# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a systemd drop-in lets a service do with a path, from its bytes alone, as systemd 252 builds the mounts.

Parents are mounted before what lies in them (namespace.c, mount_path_compare). An inaccessible path takes all entries
below it along (drop_inaccessible). Every entry becomes a mount of its own, and the recursive remounts of an outer entry
leave out the inner ones: so the innermost entry of a path decides alone, and what it does not say is as it is on the
host: writable and executable. A temporary file system is empty but for what is bound into it.

All paths are taken to exist on the host, and file modes are left out: the answer is what the mounts add to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath

_LISTS = {
    "InaccessiblePaths": "inaccessible",
    "TemporaryFileSystem": "temporary",
    "BindPaths": "bound",
    "BindReadOnlyPaths": "bound read-only",
    "ReadWritePaths": "writable",
    "ReadOnlyPaths": "read-only",
    "NoExecPaths": "noexec",
    "ExecPaths": "exec",
}
# systemd.exec(5): both directives fill one list, and an empty assignment to either clears it.
_SHARED = {"BindReadOnlyPaths": "BindPaths", "BindPaths": "BindReadOnlyPaths"}
_HOMES = ("/home", "/root", "/run/user")
_ON = ("yes", "true", "on", "1")


@dataclass
class Mount:
    """All that is said of one path."""

    words: set[str] = field(default_factory=set)
    options: set[str] = field(default_factory=set)  # of a temporary file system


class Mounts:
    """The mounts of one unit. Raises ``ValueError`` for a line or a word that cannot be read."""

    def __init__(self, text: str) -> None:
        self.scalars: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {}
        for line in text.split("\n"):
            if not line.strip() or line.startswith(("#", ";", "[")):
                continue
            key, equals, value = line.partition("=")
            if not equals or value.endswith("\\"):
                raise ValueError(f"no assignment: {line!r}")
            if key not in _LISTS:
                self.scalars[key] = value
            elif value:
                self.lists.setdefault(key, []).extend(split(value))
            else:
                self.lists.pop(key, None)
                self.lists.pop(_SHARED.get(key, ""), None)
        self.entries = self._entries()

    def _entries(self) -> dict[str, Mount]:
        found: dict[str, Mount] = {}

        def say(path: str, *words: str, options: str = "") -> None:
            one = found.setdefault(path.rstrip("/") or "/", Mount())
            one.words.update(words)
            one.options.update(options.split(",") if options else ())

        system = self.scalars.get("ProtectSystem", "no")
        if system == "strict":
            say("/", "read-only")
        elif system not in ("no", ""):
            raise ValueError(f"ProtectSystem={system} is not modelled")
        home = self.scalars.get("ProtectHome", "no")
        for path in _HOMES if home not in ("no", "") else ():
            say(
                path,
                {"yes": "inaccessible", "read-only": "read-only", "tmpfs": "temporary"}[home],
                options="ro",
            )
        if self.scalars.get("PrivateTmp", "no") in _ON:
            for path in ("/tmp", "/var/tmp"):
                say(path, "temporary")
        for key, values in self.lists.items():
            for value in values:
                path, _colon, rest = value.removeprefix("-").removeprefix("+").partition(":")
                if not path.startswith("/"):
                    raise ValueError(f"{key}={value}: no absolute path")
                if rest and key != "TemporaryFileSystem":
                    if rest.partition(":")[0] not in (path, ""):
                        raise ValueError(f"{key}={value}: bound from elsewhere")
                    rest = ""
                say(path, _LISTS[key], options=rest)
        return found

    def allows(self, action: str, path: str) -> bool:
        """read, write or execute of a literal path."""
        around = [one for one in (path, *map(str, PurePosixPath(path).parents)) if one in self.entries]
        if any("inaccessible" in self.entries[one].words for one in around):
            return False
        if not self._is_there(around):
            return False
        innermost = next((self.entries[one] for one in around if self._is_mounted(one)), Mount())
        if action == "read":
            return True
        if action == "write":
            return not self._read_only(innermost)
        return "noexec" not in innermost.words and "noexec" not in innermost.options

    def _is_there(self, around: list[str]) -> bool:
        """Whether the host's own file can be seen, or the unit can make one of its own."""
        for one in around:
            words = self.entries[one].words
            if words & {"bound", "bound read-only"}:
                return True
            if "temporary" in words:
                return "ro" not in self.entries[one].options
        return True

    def _is_mounted(self, path: str) -> bool:
        """An entry without a mount of its own, in an empty file system, comes to nothing: its path is not there."""
        words = self.entries[path].words
        if words & {"bound", "bound read-only", "temporary"}:
            return True
        above = [str(one) for one in PurePosixPath(path).parents if str(one) in self.entries]
        holder = next(
            (one for one in above if self.entries[one].words & {"bound", "bound read-only", "temporary"}), ""
        )
        return not holder or "temporary" not in self.entries[holder].words

    @staticmethod
    def _read_only(mount: Mount) -> bool:
        if mount.words & {"read-only", "bound read-only"}:
            return True
        return "temporary" in mount.words and "ro" in mount.options


def split(value: str) -> list[str]:
    """Words of a directive (systemd.syntax(7), QUOTING); ``%%`` is a percent, any other specifier is refused."""
    found: list[str] = []
    word: str | None = None
    mark = ""
    letters = iter(value)
    for letter in letters:
        if letter == "\\":
            word = (word or "") + next(letters, "")
        elif mark and letter == mark:
            mark = ""
        elif not mark and letter in "\"'":
            mark, word = letter, word or ""
        elif not mark and letter in " \t":
            found += [word] if word is not None else []
            word = None
        elif letter == "%":
            if next(letters, "") != "%":
                raise ValueError(f"a specifier: {value!r}")
            word = (word or "") + "%"
        else:
            word = (word or "") + letter
    if mark:
        raise ValueError(f"an open quote: {value!r}")
    return found + ([word] if word is not None else [])


def sockets(mounts: Mounts, text: str) -> set[str]:
    """Address families that the drop-in leaves open for the internet: ``AF_INET``, ``AF_INET6``, both or none."""
    internet = {"AF_INET", "AF_INET6"}
    if mounts.scalars.get("PrivateNetwork", "no") in _ON:
        return set()
    values = [
        line.partition("=")[2] for line in text.split("\n") if line.startswith("RestrictAddressFamilies=")
    ]
    kept: set[str] = set()
    for value in values:
        kept = kept | set(value.split()) if value else set()
    return kept & internet if values else internet
