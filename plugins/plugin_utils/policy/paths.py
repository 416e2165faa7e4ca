# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of a policy: what may be written, what it is on each operating system, and whether two paths meet.

A path is a literal of one family (POSIX means Linux and macOS, a drive letter or a share means Windows) or
a ``$name`` that the document's ``paths`` spells out per system. ``$program`` is the workload's executable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache

from .faults import Refusal, did_you_mean, quote
from .links import MERGED, followed
from .model import OS, PathRef

PROGRAM = "program"
POSIX = (OS.LINUX, OS.MACOS)
_NAME = re.compile(r"\$([a-z][a-z0-9_]*)(?:[/\\](.*))?", re.DOTALL)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
_PIPE = re.compile(r"\\\\\.\\pipe\\[^\\/]+")
# Microsoft, "Naming Files, Paths, and Namespaces": reserved in names; ':' would open another data stream.
_WINDOWS_RESERVED = frozenset('<>"|:')
_GLOB = frozenset("*?[")
_IN_BRACKET = re.compile(r"(?!\^)(?:[^-]-[^-]|[^-])+")
_BRACKET = re.compile(r"[^\[\]]*\[!?([^\[\]]+)\]")


def normal(path: str, *, glob: bool = False, pipe: bool = False) -> str:
    """The one spelling of a literal path: no doubled or trailing separators, Windows with backslashes.

    Raises Refusal for an empty or relative path, ``.`` and ``..``, and characters that cannot be in one.
    """
    if not path.strip():
        raise Refusal("the path is empty.", "write an absolute path")
    if pipe and _PIPE.fullmatch(path):
        return path
    if _is_windows(path):
        return _windows(path, glob)
    if not path.startswith("/"):
        raise Refusal(f"the path {quote(path)} is relative.", _absolute(path))
    parts = [part for part in path.split("/") if part]
    _no_dots(path, parts, "/")
    if glob:
        _check_glob(path, parts)
    return "/" + "/".join(parts)


def family(path: str) -> tuple[OS, ...]:
    """The operating systems that a literal path belongs to."""
    return (OS.WINDOWS,) if _is_windows(path) else POSIX


def _is_windows(path: str) -> bool:
    return bool(_DRIVE.match(path)) or path.startswith("\\\\")


def _absolute(path: str) -> str:
    if re.match(r"[A-Za-z]:", path):
        return f"write '{path[:2]}\\{path[2:]}'"
    if path.startswith("~"):
        return "write the home directory out, such as '/home/app'"
    if path.startswith("@"):
        return "write a socket file; abstract sockets have no path to confine"
    return f"write '/{path.removeprefix('./')}'"


def _no_dots(path: str, parts: Sequence[str], separator: str) -> None:
    if ".." in parts or "." in parts:
        kept: list[str] = []
        for part in parts:
            if part == "..":
                kept = kept[:-1]
            elif part != ".":
                kept.append(part)
        fix = separator.join(kept)
        dots = ".." if ".." in parts else "."
        raise Refusal(
            f"the path {quote(path)} holds '{dots}'.", f"write '{separator if separator == '/' else ''}{fix}'"
        )


def _windows(path: str, glob: bool) -> str:
    share = path.startswith("\\\\")
    body = path.replace("/", "\\")
    head, rest = ("\\\\", body[2:]) if share else (body[:2].upper(), body[2:])
    parts = [part for part in rest.split("\\") if part]
    if share and (parts[:1] in (["?"], ["."]) or len(parts) < 2):
        raise Refusal(
            f"the path {quote(path)} is a device path or no share.", "write C:\\... or \\\\server\\share"
        )
    _no_dots(path, [*([] if share else [head]), *parts], "\\")
    for part in parts:
        allowed = _GLOB if glob else frozenset()
        wrong = sorted(c for c in part if c in _WINDOWS_RESERVED or c in "*?" and c not in allowed)
        if wrong:
            raise Refusal(
                f"the path {quote(path)} holds {quote(wrong[0])}, which no Windows name can.", "remove it"
            )
        if part[-1] in " .":
            raise Refusal(
                f"the path {quote(path)} has a name that ends in a dot or a space.",
                f"write {quote(part.rstrip(' .'))}",
            )
    if glob:
        _check_glob(path, parts)
    return head + "\\".join(parts) if share else head + "\\" + "\\".join(parts)


def _check_glob(path: str, parts: Sequence[str]) -> None:
    if not any(_GLOB & set(part) for part in parts):
        raise Refusal(f"the glob {quote(path)} has no wildcard.", f"write {{path: {quote(path)}}}")
    if any("**" in part for part in parts):
        raise Refusal(
            f"the glob {quote(path)} holds '**'.", "name the directory: a directory means the tree below it"
        )
    for part in parts:
        _check_brackets(path, part)


def _check_brackets(path: str, part: str) -> None:
    """Brackets hold single characters and rising ranges of letters or digits: what all systems read alike."""
    rest = part
    while "[" in rest or "]" in rest:
        found = _BRACKET.match(rest)
        if not found:
            raise Refusal(
                f"the glob {quote(path)} has a bracket that is never closed, or never opened.", "close it"
            )
        for low, high in re.findall(r"([^-])-([^-])", found[1]):
            alike = any(kind(low) and kind(high) for kind in (str.isdigit, str.islower, str.isupper))
            if not (low.isascii() and high.isascii() and alike and low <= high):
                raise Refusal(
                    f"the glob {quote(path)} has the range {quote(f'{low}-{high}')}.",
                    "write a range of letters or of digits that rises, such as a-z",
                )
        if not _IN_BRACKET.fullmatch(found[1]):
            raise Refusal(
                f"the glob {quote(path)} has a '-' or a '^' that systems read differently.",
                "write characters and ranges such as [a-z0-9_], or name the paths",
            )
        rest = rest[found.end() :]


class PathNames:
    """The document's ``paths``, and ``$program`` once the workloads are known."""

    def __init__(
        self, names: Mapping[str, Mapping[OS, str | None]], programs: Mapping[OS, str | None]
    ) -> None:
        self.names = names
        self.programs = programs

    def resolve(self, text: str, *, glob: bool = False, on: Iterable[OS] = (), pipe: bool = False) -> PathRef:
        """What ``text`` is on each system. ``on``: only there, and nothing is needed on the others."""
        found = _NAME.fullmatch(text)
        if found:
            by_os, shown = self._named(found[1], found[2] or "", glob)
        elif text.startswith("$"):
            raise Refusal(f"{quote(text)} is no name.", "write $name or $name/below")
        else:
            shown = normal(text, glob=glob, pipe=pipe)
            by_os = dict.fromkeys(family(shown), shown)
        wanted = frozenset(on)
        if wanted:
            missing = sorted(os.value for os in wanted if os not in by_os)
            if missing:
                raise Refusal(
                    f"{quote(text)} is no path of {missing[0]}.",
                    f"write a path of {missing[0]}, or leave it out of 'on'",
                )
            by_os = {os: by_os[os] if os in wanted else None for os in OS}
        return PathRef(shown, tuple(sorted(by_os.items(), key=lambda pair: pair[0].value)), glob)

    def _named(self, name: str, below: str, glob: bool) -> tuple[dict[OS, str | None], str]:
        if name == PROGRAM:
            if below:
                raise Refusal("$program is a file and has nothing below it.", "write $program")
            lacking = sorted(os.value for os, path in self.programs.items() if path is None)
            if lacking:
                where = lacking[0]
                raise Refusal(f"$program is unknown on {where}.", f"write workload.{where}.executable")
            return dict(self.programs), "$program"
        if name not in self.names:
            known = [f"${known}" for known in (*self.names, PROGRAM)]
            raise Refusal(
                f"the name {quote('$' + name)} is not under 'paths'.", did_you_mean(f"${name}", known)
            )
        by_os: dict[OS, str | None] = {}
        for os, path in self.names[name].items():
            by_os[os] = path if path is None or not below else normal(f"{path}/{below}", glob=glob)
        if not below:
            return by_os, f"${name}"
        parts = [part for part in re.split(r"[/\\]", below) if part]
        return by_os, "/".join([f"${name}", *parts])


@lru_cache(maxsize=8192)
def parts(path: str, os: OS) -> tuple[str, ...]:
    """A normal path in components, as ``os`` compares them: links of the system followed, case ignored where it is."""
    real = followed(path, os)
    if os is OS.LINUX:
        return tuple(part for part in real.split("/") if part)
    return tuple(part for part in re.split(r"[/\\]" if os is OS.WINDOWS else "/", real.casefold()) if part)


def _own_parts(ref: PathRef, os: OS) -> tuple[str, ...] | None:
    for system, path in ref.by_os:
        if system is os:
            return None if path is None else parts(path, os)
    return None


def covers(ref: PathRef, path: str, os: OS) -> int:
    """How closely ``ref`` covers a literal path on ``os``: its depth plus 1, or 0 where it does not."""
    mine, other = _own_parts(ref, os), parts(path, os)
    if mine is None or len(mine) > len(other):
        return 0
    same = all(_matches(a, b, ref.glob) for a, b in zip(mine, other, strict=False))
    return len(mine) + 1 if same else 0


def meet(first: PathRef, second: PathRef, os: OS) -> bool:
    """Whether one path can lie in the other's tree on ``os``. Two globs are taken to meet when in doubt."""
    a, b = _own_parts(first, os), _own_parts(second, os)
    if a is None or b is None:
        return False
    a, b = _merged(a, os), _merged(b, os)
    if not first.glob and not second.glob:
        depth = min(len(a), len(b))
        return a[:depth] == b[:depth]
    return all(
        (first.glob and second.glob and bool(_GLOB & set(x)) and bool(_GLOB & set(y)))
        or _matches(x, y, first.glob)
        or _matches(y, x, second.glob)
        for x, y in zip(a, b, strict=False)
    )


def _merged(own: tuple[str, ...], os: OS) -> tuple[str, ...]:
    return ("usr", *own) if os is OS.LINUX and own[:1] and own[0] in MERGED else own


def _matches(pattern: str, name: str, glob: bool) -> bool:
    return fnmatchcase(name, pattern) if glob else pattern == name
