# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AppLocker: which programs and scripts a service may start, as the policy XML of Set-AppLockerPolicy.

AppLocker belongs to the whole machine. In a collection with any rule, what no rule allows is blocked for
everybody, and deny beats allow. So the document allows everything to everybody, and takes from one SID, the
service's, all but the listed paths: a deny rule for ``*`` that excepts the paths that may be executed. A path
denied, or only readable or writable, within an allowed one gets a deny rule of its own, and so on inwards: the most
specific path wins.

Services are outside of AppLocker unless the collection is extended to them, which exists for Exe and Dll only
(learn.microsoft.com, "AppLocker rule collection extensions", Windows 10 and Server 2016).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from ..policy.model import (
    OS,
    Clause,
    Deny,
    Execute,
    ExecuteClosure,
    Manifest,
    PathClause,
    Read,
    Spawn,
    SpawnClosure,
    Write,
)
from .base import Artifact, BackendError, Compilation, Features, Grade, Support
from .collect import UNSEEN, Collector, Emit
from .win_names import file_of, service_of, service_sid, windows_path, within

NAME = "win_applocker"
PLATFORM = OS.WINDOWS

EVERYONE = "S-1-1-0"
# Rule ids are made from what a rule says, so that the same policy gives the same bytes.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://bulkhead.example/applocker")
# (collection, can it be extended to services)
COLLECTIONS = (("Exe", True), ("Script", False))

_MECHANISM = "AppLocker path rules for the service SID"
_MACHINE_WIDE = (
    "machine-wide and opt-in: it is rendered and never installed with the policy; rules for a service SID "
    f"are {UNSEEN}"
)
_LIMITS = "libraries (DLL) are not restricted; scripts of services are outside of AppLocker's extension"

SUPPORT: dict[type[Clause], Support] = {
    ExecuteClosure: Support(Grade.COARSER, _MECHANISM, "10.0.14393", f"{_MACHINE_WIDE}; {_LIMITS}"),
    Execute: Support(Grade.COARSER, _MECHANISM, "10.0.14393", _MACHINE_WIDE),
    SpawnClosure: Support(
        Grade.COARSER,
        _MECHANISM,
        "10.0.14393",
        f"{_MACHINE_WIDE}; a child may be any program that the service may execute, its own image included",
    ),
    Spawn: Support(Grade.COARSER, _MECHANISM, "10.0.14393", _MACHINE_WIDE),
    Deny: Support(
        Grade.COARSER, _MECHANISM, "10.0.14393", f"{_MACHINE_WIDE}; this part denies execution only"
    ),
}

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


@dataclass(frozen=True)
class Rule:
    """One FilePathRule: a path condition and the paths excepted from it."""

    name: str
    sid: str
    action: str
    path: str
    exceptions: tuple[str, ...] = ()
    clause: str = ""


def quote(value: str) -> str:
    """An attribute's value in double quotes. Raises ``BackendError`` for characters that XML 1.0 has not."""
    if _NOT_XML.search(value):
        raise BackendError(f"{value!r} has a character that XML cannot carry: write it without.")
    return '"' + "".join(_ESCAPES.get(character, character) for character in value) + '"'


def condition(path: str, clause: str) -> str:
    """A path as AppLocker reads it. ``*`` and ``%`` are its own, and it has no way to quote them."""
    if "%" in path or "*" in path:
        raise BackendError(
            f"{path!r} has a '%' or '*', which AppLocker takes for a variable or a wildcard ({clause}): rename it."
        )
    return path.rstrip("\\")


def both(path: str) -> tuple[str, str]:
    """The two conditions that mean a path and all below it: only the host knows if it is a folder."""
    return path, path + r"\*"


def compile(manifest: Manifest, features: Features) -> Compilation:  # noqa: ARG001
    """Render ``applocker.xml`` and the verdicts. Same manifest, same bytes; the features do not matter."""
    collector = Collector(manifest, OS.WINDOWS, SUPPORT)
    allowed: dict[str, str] = {}
    denied: dict[str, str] = {}

    def take(into: dict[str, str]) -> Emit:
        def emit(clause: PathClause) -> None:
            path = collector.path(clause, clause.path)
            if path is None:
                return
            if clause.path.glob:
                raise BackendError(
                    f"{clause.path.text!r} is a pattern ({clause.id}): AppLocker's '*' crosses folders."
                )
            plain = condition(windows_path(path, clause.id), clause.id)
            _checked = (quote(plain), quote(clause.id))  # raises here, while the clause is at hand
            into.setdefault(plain, clause.id)
            collector.partial(clause, SUPPORT[type(clause)].missing)

        return emit

    def closure(clause: Clause) -> None:
        collector.partial(clause, SUPPORT[type(clause)].missing)

    def narrow() -> None:
        """Where nothing may run inside of what may run, because a grant says less there: as if it were denied."""
        for clause in sorted((*manifest.of(Read), *manifest.of(Write)), key=lambda clause: clause.id):
            text = clause.path.on(OS.WINDOWS)
            if not text or clause.path.glob:
                continue
            try:
                path = windows_path(text, clause.id)
                if not any(within(path, other) for other in allowed) or _listed(path, allowed):
                    continue
                plain = condition(path, clause.id)
                _checked = (quote(plain), quote(clause.id))
            except BackendError as error:
                collector.partial(
                    clause, f"only the access list keeps programs in it from running: {error}", _MECHANISM
                )
                continue
            if not _listed(plain, denied):
                denied[plain] = clause.id
            collector.partial(clause, _MACHINE_WIDE, _MECHANISM)

    grant, deny = take(allowed), take(denied)
    closures = dict.fromkeys((ExecuteClosure, SpawnClosure), closure)
    collector.run({**closures, Execute: grant, Spawn: grant, Deny: deny})
    narrow()
    executable = manifest.workload(OS.WINDOWS)
    if executable and executable.executable:
        place = "workload.windows.executable"
        program = condition(windows_path(executable.executable, place), place)
        allowed.setdefault(program, "filesystem.execute")
    found = rules(manifest.policy, service_of(manifest), allowed, denied)
    content, lines = render(found, "AuditOnly" if collector.audit else "Enabled")
    artifact = Artifact(
        file_of(manifest, "applocker.xml"),
        content,
        "applocker_xml",
        owner="SYSTEM",
        group="SYSTEM",
        lines=lines,
    )
    return Compilation((artifact,), collector.verdicts())


def _listed(path: str, paths: Iterable[str]) -> bool:
    return any(within(path, other) and within(other, path) for other in paths)


def rules(policy: str, service: str, allowed: dict[str, str], denied: dict[str, str]) -> list[Rule]:
    """The rules of one service. ``allowed`` and ``denied`` map paths to the clauses that name them."""
    sid = service_sid(service)
    excepted = tuple(form for path in sorted(allowed) for form in both(path))
    found = [
        Rule("Everything for everyone, so that only one service is confined", EVERYONE, "Allow", "*"),
        Rule(f"{policy}: nothing but the listed paths", sid, "Deny", "*", excepted, "filesystem.execute"),
    ]
    for path, clause in sorted(denied.items()):
        inner = [inside for inside in sorted(allowed) if within(inside, path) and not within(path, inside)]
        exceptions = tuple(form for inside in inner for form in both(inside))
        found += [
            Rule(f"{policy}: denied path", sid, "Deny", form, exceptions, clause) for form in both(path)
        ]
    return found


def render(found: list[Rule], mode: str) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    """The XML of the rules in every collection, and which clause made which line."""
    text = ['<?xml version="1.0" encoding="utf-8"?>', '<AppLockerPolicy Version="1">']
    lines: list[tuple[int, str]] = []
    for collection, extended in COLLECTIONS:
        text.append(f'  <RuleCollection Type="{collection}" EnforcementMode="{mode}">')
        for rule in found:
            begin = len(text) + 1
            text += _rule(collection, rule)
            if rule.clause:
                lines += [(number, rule.clause) for number in range(begin, len(text) + 1)]
        if extended:
            # Both extensions are needed, and without the second one Windows' own programs would be caught.
            text += [
                "    <RuleCollectionExtensions>",
                '      <ThresholdExtensions><Services EnforcementMode="Enabled"/></ThresholdExtensions>',
                '      <RedstoneExtensions><SystemApps Allow="Enabled"/></RedstoneExtensions>',
                "    </RuleCollectionExtensions>",
            ]
        text.append("  </RuleCollection>")
    text.append("</AppLockerPolicy>")
    return ("\n".join(text) + "\n").encode("utf-8"), tuple(lines)


def _rule(collection: str, rule: Rule) -> list[str]:
    identity = uuid.uuid5(NAMESPACE, "\0".join((collection, rule.name, rule.sid, rule.action, rule.path)))
    attributes = {
        "Id": str(identity),
        "Name": rule.name,
        "Description": rule.clause[:1024],  # the schema's longest
        "UserOrGroupSid": rule.sid,
        "Action": rule.action,
    }
    head = " ".join(f"{key}={quote(value)}" for key, value in attributes.items())
    text = [f"    <FilePathRule {head}>"]
    text.append(f"      <Conditions><FilePathCondition Path={quote(rule.path)}/></Conditions>")
    if rule.exceptions:
        text.append("      <Exceptions>")
        text += [f"        <FilePathCondition Path={quote(path)}/>" for path in rule.exceptions]
        text.append("      </Exceptions>")
    return [*text, "    </FilePathRule>"]
