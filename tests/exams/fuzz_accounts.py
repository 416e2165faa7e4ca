# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether every line, rule, element and key of a bundle is there because a clause of the policy says so.

Each artifact is read by a strict reader of its language: what the reader does not know is a fault. Then each item must
name one clause of this policy, be of a kind that such a clause may make, and hold no value but the policy's own. What
stands in every artifact of its kind, whatever the policy, is written down here.
"""

from __future__ import annotations

import json
import plistlib
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property, lru_cache
from typing import Any

import exam  # noqa: F401  puts the helpers below on the path
import fuzz_tables as tables
from apparmor_model import Profile as AppArmorProfile
from linux_support import words
from pf_model import Anchor
from sbpl_model import Profile, Regex, Text, read

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Artifact, Features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS, Manifest, PathRef


class Account:
    """One bundle, and all that its policy and its host say."""

    def __init__(self, manifest: Manifest, host: Features, bundle: Bundle) -> None:
        self.manifest, self.host, self.bundle = manifest, host, bundle
        self.sections = {clause.id: clause.section for clause in manifest.clauses}
        self.sections |= {one.id: one.id for one in manifest.overrides if one.os is host.os}
        self.faults: list[str] = []

    @cached_property
    def texts(self) -> frozenset[str]:
        """Every text of the policy and of the host's facts."""
        return frozenset([*_texts(self.manifest), *_texts(self.host.data)])

    @cached_property
    def paths(self) -> frozenset[str]:
        """Every path of the policy on this system and of the host's unit, and the folders around each."""
        slash = "\\" if self.host.os is OS.WINDOWS else "/"
        found: set[str] = set()
        for text in self.texts:
            for word in (text, *text.split()):
                # A command's prefixes, which the name of a folder can begin with as well.
                found |= _places(word, slash) | _places(word.lstrip("@-:+!|"), slash)
        # ExecSearchPath= is a list of folders in which a command's bare name is looked for.
        lists = [one.value for one in self.manifest.overrides if one.key == "ExecSearchPath"]
        lists += [text for text in self.texts if ":/" in text]
        folders = {one for text in lists for one in text.split(":") if one.startswith("/")}
        names = {text.split()[0].lstrip("@-:+!|") for text in self.texts if text.strip()}
        found |= {f"{folder}/{name}" for folder in folders for name in names}
        if self.host.data.get("merged_usr"):
            found |= {f"/usr{path}" for path in found if tables.MERGED.match(path)}
        return frozenset(found | {"/"})

    def check(self) -> list[str]:
        """What nobody accounts for, empty where all is well."""
        self._verdicts()
        for one in self.bundle.artifacts:
            try:
                text = one.content.decode("utf-8")
                owners = self._owners(one, text)
                if one.kind.startswith("systemd_"):
                    self._unit(one, text, owners)
                else:
                    getattr(self, f"_{one.kind}")(one, text, owners)
            except (ValueError, AssertionError, SyntaxError, KeyError, AttributeError) as problem:
                self._fault(one, f"cannot be read: {type(problem).__name__}: {problem}")
        return self.faults

    def _fault(self, one: Artifact, what: str) -> None:
        self.faults.append(f"{one.path}: {what}")

    def _verdicts(self) -> None:
        given = Counter(verdict.clause for verdict in self.bundle.verdicts)
        for clause in self.sections:
            if given[clause] != 1:
                self.faults.append(f"{given[clause]} verdicts on {clause}")
        self.faults += [f"a verdict on no clause: {name}" for name in given if name not in self.sections]
        for verdict in self.bundle.verdicts:
            if verdict.status.value in ("refused", "partial", "waived") and not verdict.detail:
                self.faults.append(f"{verdict.clause} is {verdict.status.value} without a word")
        for record in (*self.bundle.readbacks, *self.bundle.probes):
            if record.clause not in self.sections and not record.clause.startswith("examples."):
                self.faults.append(f"a check for no clause: {record}")

    def _owners(self, one: Artifact, text: str) -> dict[int, str]:
        """The one clause of each line that has one."""
        count = text.count("\n")
        numbers = Counter(number for number, _clause in one.lines)
        for number, clause in one.lines:
            if clause not in self.sections:
                self._fault(one, f"line {number} is of no clause of the policy: {clause!r}")
            if not 1 <= number <= count:
                self._fault(one, f"there is no line {number}")
            # One form of a macOS profile can carry several grants; one line of the others is of one clause.
            if numbers[number] > 1 and one.kind != "sbpl":
                self._fault(one, f"line {number} is of {numbers[number]} clauses")
        return dict(one.lines)

    # --- Linux ---

    def _unit(self, one: Artifact, text: str, owners: dict[int, str]) -> None:
        lines = text.split("\n")
        ours = {name.replace("POLICY", self.bundle.policy): forms for name, forms in tables.OWN_UNITS.items()}
        own = ours.get(one.path.rpartition("/")[2], {})
        if lines[0] != f"# Managed by Bulkhead: policy {self.bundle.policy}" or lines[-1]:
            self._fault(one, "not begun and ended as it should be")
        for number, line in enumerate(lines[1:-1], start=2):
            if not line or re.fullmatch(r"\[(Unit|Service|Slice)\]", line):
                if number in owners:
                    self._fault(one, f"line {number} is no directive: {line!r}")
                continue
            key, equals, value = line.partition("=")
            if not equals or number not in owners or line.endswith("\\") or "\r" in line:
                self._fault(one, f"nobody accounts for line {number}: {line!r}")
                continue
            section = self.sections.get(owners[number], "")
            wrong = self._of_our_unit(own, key, value) if own else self._directive(key, value, section)
            if wrong:
                self._fault(one, f"line {number} of {owners[number]}: {line!r}: {wrong}")

    def _of_our_unit(self, own: dict[str, str], key: str, value: str) -> str:
        """A unit that is Bulkhead's own holds nothing of the policy but its name, and the application's."""
        policy = self.bundle.policy
        form = own.get(key, "(?!)").replace("POLICY", policy).replace("TABLE", _table(policy))
        return "" if re.fullmatch(form, value) else "not of the form that this unit of ours has"

    def _directive(self, key: str, value: str, section: str) -> str:
        if section.startswith("overrides."):
            return (
                ""
                if not value or section.partition("[")[0] == f"overrides.linux.systemd.{key}"
                else "another key"
            )
        if key not in tables.DIRECTIVES:
            return "no row of DIRECTIVES accounts for it"
        sections, form = tables.DIRECTIVES[key]
        if not section.startswith(sections):
            return f"no clause of {section} may make it"
        if form == tables.PATH_OR_NONE:
            if not value:
                return ""
            found = words(value)
            if key == "DeviceAllow":
                found = found[:-1] if found[-1] == "rw" else []
            if len(found) != 1:
                return "not one path"
            path = tables.OPTIONS.sub("", found[0].removeprefix("-")).replace("%%", "%")
            return "" if path in self.paths or path in tables.LINUX_PATHS else "no path of the policy"
        if form == tables.ANY:
            (word,) = words(value)
            name, _equals, said = word.replace("%%", "%").partition("=")
            return (
                "" if name in self.texts and said in self.texts or not said else "no variable of the policy"
            )
        return "" if re.fullmatch(form, value) else "not of its form"

    def _nftables(self, one: Artifact, text: str, owners: dict[int, str]) -> None:
        policy = self.bundle.policy
        table = _table(policy)
        head = [
            f"# Managed by Bulkhead: policy {policy}",
            f"table inet {table} {{ flags owner; }}",
            f"delete table inet {table}",
            f"table inet {table} {{",
            "\tflags owner",
        ]
        lines = text.split("\n")
        if lines[:5] != head or lines[-2:] != ["}", ""]:
            self._fault(one, f"not begun and ended as it should be: {lines[:5]}")
        for number, line in enumerate(lines[5:-1], start=6):
            owner = owners.get(number)
            if owner is None:
                if not tables.PLAIN_LINES.fullmatch(line):
                    self._fault(one, f"nobody accounts for line {number}: {line!r}")
                continue
            section = self.sections.get(owner, "")
            rule = tables.RULE.fullmatch(line) or tables.LOGGED.fullmatch(line)
            if not section.startswith("network."):
                self._fault(one, f"line {number} is of {owner}")
            elif rule:
                if not _labels(rule["label"][1:-1], owner, policy):
                    self._fault(one, f"line {number} is of {owner}, and names {rule['label']}")
            elif not tables.ANSWERED.fullmatch(line) and not tables.MATCHED.fullmatch(line):
                self._fault(one, f"no rule: line {number}: {line!r}")

    def _apparmor(self, one: Artifact, text: str, owners: dict[int, str]) -> None:
        profile = AppArmorProfile(text)  # strict: anything but one rule a line is a ValueError
        if profile.name != f"bulkhead.{self.bundle.policy}":
            self._fault(one, f"is the profile {profile.name}")
        own = {f"/run/credentials/{self.bundle.workload.name}"}
        known = self.paths | tables.LINUX_PATHS | tables.APPARMOR_PATHS | own
        for number, line in enumerate(text.split("\n")[4:-2], start=5):
            section = self.sections.get(owners.get(number, ""), "")
            if not section.startswith(tables.APPARMOR_SECTIONS):
                self._fault(one, f"nobody accounts for line {number}: {line!r}")
            elif rule := tables.FILE_RULE.match(line):
                path = tables.UNESCAPED.sub(r"\1", rule["literal"]).rstrip("/") or "/"
                if path not in known and (path.rpartition("/")[0] or "/") not in known:
                    self._fault(
                        one, f"line {number} is of {owners[number]}, and of no path of the policy: {line!r}"
                    )

    # --- macOS ---

    def _sbpl(self, one: Artifact, text: str, owners: dict[int, str]) -> None:
        Profile(text)
        lines = text.split("\n")
        if len(read(text)) != len([line for line in lines if line]):
            self._fault(one, "a form is not on one line of its own")
        for number, line in enumerate(lines, start=1):
            if not line or tables.SBPL_HEAD.fullmatch(line):
                continue
            for value in _strings(read(line)):
                known = (
                    value in self.paths
                    or tables.SBPL_OWN.fullmatch(value)
                    or tables.SBPL_SOCKET.fullmatch(value)
                )
                if number in owners or line.startswith("(allow file-read-metadata "):  # folders above a grant
                    known = known or value in self.texts or isinstance(value, Regex)
                if not known:
                    self._fault(
                        one, f"line {number} of {owners.get(number)}: {value!r} is no text of the policy"
                    )

    def _launchd_plist(self, one: Artifact, text: str, _owners: dict[int, str]) -> None:
        data = plistlib.loads(text.encode())
        variables = {f"{name}={value}" for name in self.texts for value in ("",)}
        for place, value in _leaves(data):
            for key in place:
                if key not in tables.PLIST_KEYS and not (
                    place[0] == "EnvironmentVariables" and key in self.texts
                ):
                    self._fault(one, f"no key of ours: {place}")
            if (
                not isinstance(value, str)
                or tables.PLIST_OWN.fullmatch(value)
                or value in self.texts
                or value in variables
            ):
                continue
            name, equals, said = value.partition("=")
            if not (equals and name in self.texts and (said in self.texts or not said)):
                self._fault(one, f"{place}: {value!r} is no text of the policy")

    def _pf(self, one: Artifact, text: str, owners: dict[int, str]) -> None:
        anchor = Anchor(text)
        for number, line in enumerate(text.split("\n")[:-1], start=1):
            if number not in owners and not line.startswith("#"):
                self._fault(one, f"nobody accounts for line {number}: {line!r}")
        users = {rule["user"] for rule in anchor.rules}
        if not users <= self.texts:
            self._fault(one, f"users of nobody: {users}")

    # --- Windows ---

    def _powershell_data(self, one: Artifact, text: str, _owners: dict[int, str]) -> None:
        def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            if len(dict(pairs)) != len(pairs):
                raise ValueError(f"a key stands twice: {[key for key, _value in pairs]}")
            return dict(pairs)

        data = json.loads(text, object_pairs_hook=once)
        for place, value in _leaves(data):
            if not isinstance(value, str):
                continue
            key = place[-1]
            if key == "clause":
                known = value in self.sections
            elif key == "entry":
                name, equals, said = value.partition("=")
                known = bool(equals) and name in self.texts and (said in self.texts or not said)
            elif key in ("image", "value"):
                known = any(path.endswith("\\" + value) for path in self.paths)
            else:
                own = tables.JSON_OWN.get(key)
                known = bool(own and re.fullmatch(own, value)) or value in self.texts or value in self.paths
                known = known or key == "account" and value.removeprefix("NT SERVICE\\") in self.texts
            if not known:
                self._fault(one, f"{'.'.join(place)}: {value!r} is no text of the policy")

    def _applocker_xml(self, one: Artifact, text: str, _owners: dict[int, str]) -> None:
        clauses = {*self.sections, ""}
        for element in ElementTree.fromstring(text).iter():
            if element.tag not in tables.XML or set(element.attrib) != tables.XML[element.tag]:
                self._fault(one, f"no element of ours: {element.tag} {sorted(element.attrib)}")
            for key, value in element.attrib.items():
                if key == "Path":
                    known = (
                        value in {"*", "%PATH%"}
                        or _unstarred(value) in self.paths
                        or _is_pattern(value, self.paths)
                    )
                elif key == "Name":
                    known = re.fullmatch(
                        r"Everything for everyone, so that only one service is confined|[a-z0-9_-]+: [a-z ]+",
                        value,
                    )
                elif key == "Description":
                    known = value in clauses
                else:
                    known = re.fullmatch(tables.XML_VALUES[key], value)
                if not known:
                    self._fault(one, f"{element.tag} {key}={value!r} is no text of the policy")


def _table(policy: str) -> str:
    return f"bulkhead_{policy.replace('_', '.').replace('-', '_')}"


def _labels(text: str, clause: str, policy: str) -> bool:
    """Whether a comment or a log prefix names this clause, whole or cut and with a digest."""
    text = text.removeprefix(f"bulkhead {policy} ").removesuffix(": ")
    bare = re.sub(r" (max_open|rate)$", "", text)
    return clause in (text, bare) or re.search(r"#[0-9a-f]{12}( max_open| rate)?$", text) is not None


def _texts(value: Any) -> Iterator[str]:
    """Every text within a value of the model, or within plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, PathRef):
        yield from (path for _os, path in value.by_os if path)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(key)
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif is_dataclass(value) and not isinstance(value, Enum):
        for one in fields(value):
            yield from _texts(getattr(value, one.name))


@lru_cache(maxsize=20_000)
def _places(word: str, slash: str) -> frozenset[str]:
    """What a word can be as a path, with the folders around it: nothing, or several where a folder is a link."""
    if slash == "\\":
        return frozenset(_around(word, slash)) if slash in word or word.endswith(".exe") else frozenset()
    # /var/run is a link to /run; macOS' /etc, /tmp and /var are links to /private; StateDirectory= is below /var/lib.
    bases = ("/var/lib", "/run", "/var/log", "/var/cache", "/etc")
    name = word.partition(":")[0]  # StateDirectory=NAME:LINK
    found = [word, "/private" + word, word.removeprefix("/var"), *(f"{base}/{name}" for base in bases)]
    return frozenset(path for one in found if one.startswith("/") for path in _around(one, slash))


def _around(path: str, slash: str) -> Iterator[str]:
    """A path and the folders that it lies in."""
    while path:
        yield path
        yield path.rstrip(slash) or slash
        shorter = path.rstrip(slash).rpartition(slash)[0]
        if shorter == path:
            return
        path = shorter


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, (Regex, Text)):
        yield value


def _leaves(value: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _leaves(one, (*place, key))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, place)
    else:
        yield place, value


def _unstarred(path: str) -> str:
    return path.removesuffix("*").rstrip("\\") if path.endswith("\\*") else path


def _is_pattern(value: str, paths: frozenset[str]) -> bool:
    """A granted path whose own wildcards stand as AppLocker can say them, or a variable of Windows in front."""
    return value in paths or re.sub(r"^%[A-Z0-9]+%", "C:", value) in paths
