# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A typed view of a Linux host's facts: what it can carry, and how the vendor's unit starts its programs."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import cast

from ..policy.model import OS, Manifest
from .base import BackendError, Features
from .features import LinuxFeatures, UnitFacts
from .linux_names import dropin_path, is_instance, plain

EXEC_KEYS = (
    "ExecCondition",
    "ExecStartPre",
    "ExecStart",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
)
# Directories that systemd makes for a unit, and makes writable for it (systemd.exec(5)).
DIRECTORY_KEYS = (
    ("RuntimeDirectory", "/run"),
    ("StateDirectory", "/var/lib"),
    ("CacheDirectory", "/var/cache"),
    ("LogsDirectory", "/var/log"),
    ("ConfigurationDirectory", "/etc"),
)
_MERGED = frozenset({"bin", "sbin", "lib", "lib32", "lib64", "libx32"})  # links into /usr on a merged host
_GROWING = frozenset(key for key, _unused in DIRECTORY_KEYS)  # an override adds to what the vendor wrote


# What a unit may say that no clause reckons with yet: with it a verdict could be untrue, so the unit is refused.
UNRECKONED = {
    "NetworkNamespacePath": "its packets pass another network namespace than the rules are in",
    "JoinsNamespaceOf": "it shares mounts or network with a unit that has no such policy",
    "RootDirectory": "paths of the policy would mean others inside",
    "RootImage": "paths of the policy would mean others inside",
    "MountImages": "it brings files that no clause names",
    "ExtensionImages": "it brings files that no clause names",
    "ExtensionDirectories": "it brings files that no clause names",
    "OpenFile": "systemd opens files for it before the sandbox exists",
}


@dataclass(frozen=True)
class Program:
    """A program of an Exec line. ``escapes``: prefix '+' runs it outside of the sandbox (systemd.service(5))."""

    key: str
    path: str
    escapes: bool
    keeps_privileges: bool  # prefix '!': no user change


def _commands(line: str) -> list[str]:
    """The first word of each command of an Exec line; a word of its own ';' parts them (systemd.service(5))."""
    words = line.split()
    return [word for before, word in zip([";", *words], words, strict=False) if before == ";" and word != ";"]


class Host:
    """Facts of one host and of the policy's unit on it. Raises BackendError where the unit is not there."""

    def __init__(self, manifest: Manifest, features: Features) -> None:
        facts = cast(LinuxFeatures, features.data)
        workload = manifest.workload(OS.LINUX)
        if workload is None:
            raise BackendError(
                f"Policy '{manifest.policy}' has no workload for linux: add workload.linux.unit."
            )
        self.unit = workload.name
        self.facts = facts
        self.systemd = int(facts.get("systemd", {}).get("version", 0))
        self.flags = facts.get("systemd", {}).get("flags", {})
        self.container = bool(facts.get("container", False))
        self.resolvers = tuple(facts.get("resolvers", []))
        nft = facts.get("nft", {})
        self.nft_by_cgroup = bool(nft.get("present")) and bool(nft.get("socket_cgroupv2"))
        self._unit = facts.get("unit", cast(UnitFacts, {}))
        if is_instance(self._unit.get("name", ""), self.unit):
            self.unit = self._unit["name"]
        self._overrides: dict[str, list[str]] = {}
        for override in manifest.overrides:
            if override.os is OS.LINUX and override.backend == "systemd":
                self._overrides.setdefault(override.key, []).append(override.value)
        self._check()

    def _check(self) -> None:
        if self.systemd == 0:
            raise BackendError("This host has no systemd: Bulkhead confines Linux services by systemd units.")
        if self._unit.get("name") != self.unit:
            have = self._unit.get("name", "")
            raise BackendError(
                f"The host's facts are about the unit '{have}', not about {self.unit}: collect them again."
            )
        state = self._unit.get("load_state", "not-found")
        if state == "not-found":
            raise BackendError(
                f"Unit {self.unit} is not on this host: install its package first, or correct workload."
            )
        if state != "loaded":
            raise BackendError(
                f"Unit {self.unit} is '{state}' on this host: it has to be loadable to be confined."
            )
        written = {**self._unit.get("service", {}), **self._unit.get("unit", {})}
        found = [f"{key}= ({why})" for key, why in UNRECKONED.items() if any(written.get(key, []))]
        if found:
            raise BackendError(
                f"Unit {self.unit} sets {', '.join(found)}, which this version cannot confine: reset it in a drop-in."
            )
        # Drop-ins apply in the order of their names: whoever comes after ours may undo any clause.
        own = posixpath.basename(dropin_path(self.unit))
        later = [path for path in self._unit.get("dropins", []) if posixpath.basename(path) > own]
        if later:
            raise BackendError(
                f"{', '.join(later)}: read after Bulkhead's own {own}, so it could undo any clause. "
                f"Rename it so that it sorts before {own}, or remove it."
            )

    def controller(self, name: str) -> bool:
        """Whether limits of this controller do anything; without it systemd sets them without a word."""
        return name in self.facts.get("cgroup", {}).get("controllers", [])

    @property
    def apparmor(self) -> bool:
        """Whether a profile confines the unit: the kernel mediates, the parser knows ABI 3.0, systemd can set it."""
        facts = self.facts.get("apparmor", {})
        known = bool(facts.get("parser")) and "3.0" in facts.get("abis", [])
        mediates = bool(facts.get("enabled")) and "apparmor" in self.facts.get("lsm", [])
        return known and mediates and bool(self.flags.get("APPARMOR")) and not self.container

    def real(self, path: str) -> str:
        """What ``path`` is once all links in it are followed: the name by which the kernel knows a file."""
        found = self.facts.get("links", {}).get(path, "")
        if found:
            return found
        if self.facts.get("merged_usr") and path.split("/")[1] in _MERGED:
            return f"/usr{path}"
        return path

    @property
    def filters_bpf(self) -> bool:
        """SocketBind and the like: built in only with BPF_FRAMEWORK; a container may not call bpf()."""
        return bool(self.flags.get("BPF_FRAMEWORK")) and not self.container

    def values(self, key: str) -> list[str]:
        """What the vendor, the administrator or an override of the policy set ``key`` to."""
        written = self._overrides.get(key, [])
        if written and key not in _GROWING:
            return list(written)
        return [*self._unit.get("service", {}).get(key, []), *written]

    def value(self, key: str, default: str = "") -> str:
        values = self.values(key)
        return values[-1] if values else default

    @property
    def type(self) -> str:
        return self.value("Type", "dbus" if self.value("BusName") else "simple")

    @property
    def notifies(self) -> bool:
        """The service reports to systemd by a socket of its own, which a watchdog needs."""
        return self.type in ("notify", "notify-reload")

    @property
    def user(self) -> str:
        """The account that the unit starts as, by its own files."""
        return self.value("User", "root")

    @property
    def sockets(self) -> tuple[str, ...]:
        """Socket units that start this one: they open its sockets in a cgroup of their own."""
        return tuple(name for name in self._unit.get("triggered_by", []) if name.endswith(".socket"))

    def programs(self) -> tuple[Program, ...]:
        """Programs of all Exec lines, in the order of a unit's life."""
        found = []
        # The old way to start only ExecStart= in the sandbox (service_spawn() of systemd's service.c).
        start_only = self.value("PermissionsStartOnly").lower() in ("yes", "y", "true", "t", "1", "on")
        for key in EXEC_KEYS:
            for word in (word for line in self.values(key) for word in _commands(line)):
                bare = word.strip("\"'")  # systemd takes quotes away before it looks for prefixes
                path = bare.lstrip("@-:+!|").strip("\"'")
                prefix = bare[: len(bare) - len(bare.lstrip("@-:+!|"))]
                places = [path] if path.startswith("/") else self._searched(path)
                outside = "+" in prefix or (start_only and key != "ExecStart")
                found += [Program(key, plain(place), outside, "!" in prefix) for place in places]
        return tuple(found)

    def _searched(self, name: str) -> list[str]:
        """Where a program without a path may be (ExecSearchPath=, systemd 250); the first that exists is run."""
        folders = [folder for value in self.values("ExecSearchPath") for folder in value.split(":")]
        return [f"{folder}/{name}" for folder in folders if name and folder.startswith("/")]

    def interpreter(self, program: str) -> str:
        """What the kernel runs in place of a script, or an empty string."""
        path = self._unit.get("interpreters", {}).get(program, "")
        return plain(path) if path else ""

    def directories(self) -> tuple[tuple[str, str], ...]:
        """(directive, path) of the directories that systemd makes for the unit and leaves writable."""
        return tuple(
            (key, plain(f"{base}/{word.split(':')[0]}"))
            for key, base in DIRECTORY_KEYS
            for value in self.values(key)
            for word in value.split()
            if ".." not in word.split(":")[0].split("/")  # systemd makes none of these
        )
