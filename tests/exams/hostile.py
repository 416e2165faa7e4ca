# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: no value of a policy can add a directive, rule, element or command, in any backend.

One policy has every text field of the language. What every output language lives by goes into all fields at once: line
ends, quotes, comments, brackets, specifiers, prefixes, and attacks made of them. A field that the loader or a backend
refuses, with a clear error, gets its own text back. What is left is compiled, read back by the systems' own parsers
(systemd-analyze, nft in a network namespace, expat and Microsoft's schema, plistlib, TinyScheme), and must be made of
exactly the directives, rules, elements and forms of the same policy with tame texts of the same length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import exam
import xmlschema
from hostile_policy import HELPER, HELPER_PROGRAM, Attack, Place, at, attacks, fields, policy, put, rename
from parsed import Shape, artifact, shape
from vendor import SCHEMA

from ansible_collections.bulkhead.fleet.plugins.plugin_utils import render
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import (
    BackendError,
    Features,
    Status,
    Verdict,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.registry import backends
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Manifest, PathClause
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.parse import parse
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.source import place_text

TODAY = date(2026, 11, 24)
LINUX = ("debian12", "debian13")  # in turns
OTHERS = ("windows2022", "macos15")
SYSTEMS = LINUX + OTHERS
KEYS_EVERY = 3  # attacks: keys have to fit a short pattern, all of them
GROUP = ["10.1.0.10", "10.1.0.11", "2001:db8::10"]
# Of a clause that one backend of a system refuses and another one carries.
BY_ONE = "only the access list keeps programs in it from running: "
OVERRIDE = "overrides.linux.systemd."

Texts = dict[Place, str]


@dataclass
class Made:
    """What a document is on one system: its shape, and the places of the entries that are refused there."""

    shape: Shape
    refused: set[Place] = field(default_factory=set)


class Examination:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "everything.yml"
        (folder / "helper.yml").write_text(HELPER)
        self.base = policy()
        self.schema = xmlschema.XMLSchema(str(SCHEMA)) if SCHEMA.is_file() else None
        self.valid: set[str] = set()
        self.loaded: dict[str, Manifest] = {}
        self.plain = {system: self.make(self.base, system) for system in SYSTEMS}

    def load(self, data: Any, addresses: list[str] = GROUP) -> Manifest:
        """The manifest of the document, made once. JSON is YAML in which every character can be written."""
        key = json.dumps([data, addresses])
        if key not in self.loaded:
            self.loaded[key] = self._load(data, addresses)
        return self.loaded[key]

    def _load(self, data: Any, addresses: list[str]) -> Manifest:
        self.file.write_text(_text(data), encoding="utf-8")
        try:
            return load_and_resolve(self.file, [], {"app_servers": addresses}, TODAY)
        except PolicyFaults as refusal:
            for fault in refusal.faults:
                # A line of the environment is never shown: a secret may stand there against all advice.
                shown = fault.excerpt or fault.place.startswith("environment.set")
                if not (fault.message.endswith(".") and fault.help_text and fault.origin.line and shown):
                    raise AssertionError(f"an unclear refusal: {fault}") from None
            raise

    def accepted(self, texts: Texts) -> Texts:
        """Those of the texts that the loader takes, all together."""
        left = dict(texts)
        while left:
            try:
                self.load(put(self.base, left))
                return left
            except PolicyFaults as refusal:
                places = {fault.place for fault in refusal.faults}
            if places == {""}:  # no YAML at all, for one character that stands in each of them
                return {}
            refused = [place for place in left if _named(place, places)]
            if not refused:
                raise AssertionError(f"nobody knows which text is refused: {places}")
            left = {place: text for place, text in left.items() if place not in refused}
        return left

    def make(self, data: Any, system: str) -> Made:
        """The document compiled for a system and read back."""
        manifest = self.load(data)
        host = render.reference(system, manifest)
        bundle = compile_bundle(manifest, host, TODAY)
        made = Made(shape(bundle, frozenset(data["overrides"]["linux"]["systemd"])))
        marks = {mark: place for place, mark in parse("", _text(data).encode()).values.items()}
        clauses = {clause.id: clause for clause in manifest.clauses}
        for verdict in [*bundle.verdicts, *_of_each_backend(manifest, host)]:
            if verdict.status is not Status.REFUSED and BY_ONE not in verdict.detail:
                continue
            if not verdict.detail:
                raise AssertionError(f"{verdict.clause} is refused on {system} without a word")
            clause = clauses.get(verdict.clause)
            if clause is None:
                made.refused.add(("overrides", "linux", "systemd", verdict.clause.removeprefix(OVERRIDE)))
            elif clause.origin.file == str(self.file):
                made.refused.add(marks[(clause.origin.line - 1, clause.origin.column - 1)])
        if system == "windows2022" and self.schema is not None:
            text = artifact(bundle, "applocker_xml").content.decode("utf-8")
            if text not in self.valid:
                self.schema.validate(text)
                self.valid.add(text)
        return made

    def settle(self, texts: Texts, system: str) -> tuple[Texts, Made]:
        """Those of the texts that no backend of the system refuses, and what comes of them."""
        left = dict(texts)
        while True:
            try:
                made = self.make(put(self.base, left), system)
                more = made.refused - self.plain[system].refused
                if not more:
                    return left, made
                refused = [place for place in left if any(self._belongs(place, entry) for entry in more)]
            except BackendError as refusal:  # nothing can be compiled: the message names the value
                more = {(str(refusal),)}
                said = str(refusal)
                refused = [place for place in left if f"({place_text(place)})" in said]
                refused = refused or [place for place in left if repr(left[place]) in said]
            if not refused:
                raise AssertionError(f"nobody knows what is refused on {system}: {more}")
            left = {place: text for place, text in left.items() if place not in refused}

    def _belongs(self, place: Place, entry: Place) -> bool:
        """Whether the field is of this entry, or of a name for a path that the entry uses."""
        names = re.findall(r"\$([a-z0-9_]+)", json.dumps(at(self.base, entry)))
        named = place[:1] == ("paths",) and place[1] in names
        program = "program" in names and place[:1] == ("workload",) and place[-1] == "executable"
        # A component is refused where nothing lets the service start it any more.
        starts = entry[:1] == ("components",) and at(self.base, place) == HELPER_PROGRAM
        return place[: len(entry)] == entry or named or program or starts

    def tame(self, attack: Attack, places: Texts, system: str) -> Made:
        """The same with tame texts; a field that does not even take such a one has its own."""
        texts = {place: attack.tame(at(self.base, place)) for place in places}
        return self.settle(self.accepted(texts), system)[1]


def _of_each_backend(manifest: Manifest, host: Features) -> Iterator[Verdict]:
    """What every backend says for itself: in the bundle one that carries a clause hides another that refuses it."""
    known = [
        clause for clause in manifest.clauses if not isinstance(clause, PathClause) or clause.path.on(host.os)
    ]
    for backend in backends(host.os):
        for verdict in backend.compile(replace(manifest, clauses=tuple(known)), host).verdicts:
            if verdict.clause not in {clause.section for clause in known}:
                yield verdict


def _text(data: Any) -> str:
    """JSON has two escapes for a character beyond U+FFFF, YAML one."""

    def joined(found: re.Match[str]) -> str:
        return f"\\U{ord(json.loads(chr(34) + found[0] + chr(34))):08x}"

    return re.sub(r"(?<!\\)\\ud[89ab]..\\ud[c-f]..", joined, json.dumps(data, indent=1))


def _named(place: Place, faults: set[str]) -> bool:
    return any(place_text(place[:end]) in faults for end in range(1, len(place) + 1))


def differences(got: Made, twin: Made) -> list[str]:
    more = [f"more: {item}" for item in got.shape - twin.shape]
    return more + [f"less: {item}" for item in twin.shape - got.shape]


class Count:
    def __init__(self) -> None:
        self.values = self.refused = self.compiled = self.injected = 0
        self.compared = dict.fromkeys(SYSTEMS, 0)
        self.shortfalls: list[str] = []

    def values_of(
        self, examination: Examination, attack: Attack, places: list[Place], systems: Sequence[str]
    ) -> None:
        """One attack on all values of the policy at once."""
        base = examination.base
        accepted = examination.accepted({place: attack.spoil(at(base, place)) for place in places})
        compiled: set[Place] = set()
        for system in systems if accepted else ():
            left, got = examination.settle(accepted, system)
            wrong = differences(got, examination.tame(attack, left, system))
            compiled |= set(left)
            self.compared[system] += 1
            if wrong:
                self._blame(examination, attack, left, system, wrong)
        self.values += len(places)
        self.compiled += len(compiled)
        self.refused += len(places) - len(compiled)

    def _blame(
        self, examination: Examination, attack: Attack, left: Texts, system: str, wrong: list[str]
    ) -> None:
        """Which field alone makes the difference."""
        found = []
        for place, text in left.items():
            twin = examination.tame(attack, {place: text}, system)
            if differences(examination.make(put(examination.base, {place: text}), system), twin):
                found.append(place_text(place))
        self.injected += max(1, len(found))
        self.shortfalls.append(f"{attack} on {system}: {found or 'only together'}: {wrong[:4]}")

    def refusals_of(self, examination: Examination, attack: Attack, keys: list[Place]) -> None:
        """One attack on each key of the policy's own, and on an address that the inventory gives."""
        for place in keys:
            data = rename(examination.base, place, attack.spoil(str(place[-1])))
            self._must_refuse(examination, f"{attack} as key {place_text(place)}", data, GROUP)
        addresses = [attack.spoil(GROUP[0]), *GROUP[1:]]
        self._must_refuse(examination, f"{attack} as address", examination.base, addresses)

    def _must_refuse(self, examination: Examination, what: str, data: Any, addresses: list[str]) -> None:
        self.values += 1
        try:
            manifest = examination.load(data, addresses)
        except PolicyFaults:
            self.refused += 1
            return
        # Taken by the loader: a key of an override. Then every system must refuse it, or know no such backend.
        bundle = compile_bundle(manifest, render.reference("debian12", manifest), TODAY)
        refused = {verdict.clause for verdict in bundle.of(Status.REFUSED)}
        known = {f"{OVERRIDE}{key}" for key in examination.base["overrides"]["linux"]["systemd"]}
        if all(one.id in refused or one.id in known for one in manifest.overrides):
            self.refused += 1
        else:
            self.injected += 1
            self.shortfalls.append(f"{what} is taken")


def main() -> None:
    count = Count()
    with TemporaryDirectory() as folder:
        examination = Examination(Path(folder))
        found = list(fields(examination.base))
        places = [place for place, key in found if not key]
        keys = [place for place, key in found if key]
        tried = attacks()
        for number, attack in enumerate(tried):
            try:
                count.values_of(examination, attack, places, LINUX[number % 2 :: 2] + OTHERS)
                if number % KEYS_EVERY == 0:
                    count.refusals_of(examination, attack, keys)
            except Exception as problem:
                count.shortfalls.append(f"{attack}: {type(problem).__name__}: {problem}")
    if not all(count.compared.values()):
        count.shortfalls.append(f"nothing was compiled and compared on some system: {count.compared}")
    figures = {
        "fields": len(found) + 1,
        "attacks": len(tried),
        "values": count.values,
        "refused": count.refused,
        "compiled": count.compiled,
        "compared": count.compared,
        "valid_by_schema": len(examination.valid),
        "injected": count.injected,
    }
    exam.end("hostile", figures, count.shortfalls)


if __name__ == "__main__":
    main()
