# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader and evaluator of sandbox profiles, by the rules that others measured on real kernels.

Written apart from the renderer, and only for tests: among rules with a filter the last match wins, a rule
without one sets the default of its operation wherever it stands, and one bad form rejects the whole profile.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Operations that macOS 14 knows, of those that a daemon's profile needs.
OPERATIONS = frozenset(
    [
        "default",
        "file-read*",
        "file-read-data",
        "file-read-metadata",
        "file-write*",
        "file-write-data",
        "file-write-unlink",
        "file-map-executable",
        "file-ioctl",
        "process-exec*",
        "process-fork",
        "process-info*",
        "signal",
        "network-bind",
        "network-inbound",
        "network-outbound",
        "mach-lookup",
        "ipc-posix-shm*",
        "ipc-posix-sem*",
        "ipc-sysv*",
        "sysctl-read",
        "nvram*",
        "iokit-get-properties",
        "dynamic-code-generation",
    ]
)
# (deny default) does not reach these: they are allowed until a rule of their own denies them.
OUTSIDE_DEFAULT = ("process-info", "nvram", "iokit-get-properties", "file-map-executable")
FILTERS = frozenset({"subpath", "literal", "regex", "local", "remote", "global-name", "target"})
_TOKEN = re.compile(r'\s*(?:(\(|\))|#"([^"]*)"|"((?:[^"\\]|\\.)*)"|([^\s()"#]+))')


class Regex(str):
    """A raw string of a profile."""


class Text(str):
    """A string of a profile, without its quotation marks."""


def read(text: str) -> list:
    """All forms of a profile as nested lists. Raises ``ValueError`` where something is no form."""
    stack: list[list] = [[]]
    position = 0
    text = text.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if not found:
            raise ValueError(f"no form at {text[position : position + 20]!r}")
        position = found.end()
        bracket, raw, string, word = found.groups()
        if bracket == "(":
            stack.append([])
        elif bracket == ")":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(
                Regex(raw)
                if raw is not None
                else Text(re.sub(r"\\(.)", r"\1", string))
                if string is not None
                else word
            )
    (forms,) = stack
    return forms


@dataclass
class Rule:
    allow: bool
    operations: list[str]
    filters: list[list]
    report: bool


@dataclass(frozen=True)
class Result:
    allow: bool
    report: bool


class Profile:
    """A profile that can be asked. Raises ``ValueError`` for words that it does not know."""

    def __init__(self, text: str) -> None:
        forms = read(text)
        if forms[0] != ["version", "1"]:
            raise ValueError("a profile begins with its version")
        self.rules = [self._rule(form) for form in forms[1:]]

    @staticmethod
    def _rule(form: list) -> Rule:
        operations = [item for item in form[1:] if not isinstance(item, list)]
        extras = [item for item in form[1:] if isinstance(item, list)]
        if form[0] not in ("allow", "deny") or not operations or set(operations) - OPERATIONS:
            raise ValueError(f"no rule: {form!r}")
        filters = [item for item in extras if item[0] != "with"]
        if any(item[0] not in FILTERS for item in filters):
            raise ValueError(f"no filter: {form!r}")
        return Rule(form[0] == "allow", operations, filters, ["with", "report"] in extras)

    def ask(self, operation: str, path: str = "", socket: tuple[str, str, int] | None = None) -> Result:
        """What happens to an operation on a path, or on a socket ("tcp", "10.0.0.1", 80)."""
        decision = Result(operation.startswith(OUTSIDE_DEFAULT), False)
        best = -1
        for rule in self.rules:
            for name in rule.operations:
                depth = _covers(name, operation)
                if not rule.filters and depth > best:
                    best, decision = depth, Result(rule.allow, rule.report)
        for rule in self.rules:
            named = any(_covers(name, operation) >= 0 for name in rule.operations)
            if named and any(_matches(item, path, socket) for item in rule.filters):
                decision = Result(rule.allow, rule.report)
        return decision


def _covers(name: str, operation: str) -> int:
    if name == "default":
        return -1 if operation.startswith(OUTSIDE_DEFAULT) else 0
    if name.endswith("*"):
        return len(name) if operation.startswith(name[:-1]) else -1
    return len(name) + 1 if name == operation else -1


def _matches(item: list, path: str, socket: tuple[str, str, int] | None) -> bool:
    kind, value = item[0], item[-1]
    if kind in ("local", "remote"):
        if socket is None:
            return False
        host, _, port = value.rpartition(":")
        local = socket[1] in ("127.0.0.1", "::1")
        return item[1] in (socket[0], "ip") and (host == "*" or local) and port in ("*", str(socket[2]))
    if not path:
        return False
    if kind == "subpath":
        return path == value or path.startswith(value.rstrip("/") + "/")
    if kind == "literal":
        return path == value
    return kind == "regex" and re.search(value, path) is not None
