# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A typed view of a Linux host's facts: what it can carry, and how the vendor's unit starts its programs."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from ...module_utils import unit_commands, unit_groups, unit_specifiers
from ..policy.links import merged
from ..policy.model import OS, Manifest, Mode
from . import linux_vendor
from .base import BackendError, Features
from .features import LinuxFeatures, UnitFacts
from .linux_names import dropin_path, is_instance, plain, within

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
_ACCOUNT_KEYS = ("User", "Group", "SupplementaryGroups")
_GROWING = frozenset(key for key, _unused in DIRECTORY_KEYS)  # an override adds to what the vendor wrote


@dataclass(frozen=True)
class Program:
    """A program of an Exec line. ``escapes``: prefix '+' runs it outside of the sandbox (systemd.service(5))."""

    key: str
    path: str
    escapes: bool
    keeps_privileges: bool  # prefix '!': no user change


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
        self._audit = manifest.mode is Mode.AUDIT
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
        sections = {"Service": self._unit.get("service", {}), "Unit": self._unit.get("unit", {})}
        linux_vendor.check(self.unit, self.systemd, sections)
        self._check_specifiers(sections["Service"])
        # Drop-ins apply in the order of their names: whoever comes after ours may undo any clause.
        own = posixpath.basename(dropin_path(self.unit))
        later = [path for path in self._unit.get("dropins", []) if posixpath.basename(path) > own]
        if later:
            raise BackendError(
                f"{', '.join(later)}: read after Bulkhead's own {own}, so it could undo any clause. "
                f"Rename it so that it sorts before {own}, or remove it."
            )

    def _check_specifiers(self, service: dict[str, list[str]]) -> None:
        """A path that cannot be told would be left open, or closed, by another name than its own."""
        for key in (*EXEC_KEYS, *_GROWING, *_ACCOUNT_KEYS, "PIDFile"):
            for value in service.get(key, []):
                commands = unit_commands.commands(value) if key in EXEC_KEYS else ()
                told = " ".join(command.program for command in commands) if key in EXEC_KEYS else value
                try:
                    unit_specifiers.expand(told, self.unit)
                except ValueError as error:
                    raise BackendError(
                        f"Unit {self.unit} sets {key}={value}, and what '{error}' stands for is not among the host's "
                        "facts: write the name itself in a drop-in."
                    ) from None

    def real(self, path: str) -> str:
        """``path`` as it lies on this host: /bin and its like are links into /usr where the trees are merged."""
        text = plain(path)
        for link, place in self._links():
            if within(text, link):
                text = place + text[len(link) :]
        return merged(text) if self.facts.get("merged_usr") else text

    def _links(self) -> tuple[tuple[str, str], ...]:
        """(link, directory): where systemd keeps a directory of a unit with DynamicUser= (systemd.exec(5)).

        A mount on the link itself fails, as systemd puts the link there (tried on 252).
        """
        bases = dict(DIRECTORY_KEYS)
        return tuple(
            (plain(f"{bases[key]}/{name}"), plain(f"{bases[key]}/private/{name}"))
            for key in self._private_keys()
            for name in self._directory_names(key)
        )

    def expanded(self, value: str) -> str:
        """A directive's value with its specifiers replaced; one that cannot be told stays as it is written."""
        try:
            return str(unit_specifiers.expand(value, self.unit))
        except ValueError:
            return value

    def controller(self, name: str) -> bool:
        """Whether limits of this controller do anything; without it systemd sets them without a word."""
        return name in self.facts.get("cgroup", {}).get("controllers", [])

    def legacy_controller(self, name: str) -> bool:
        """Whether services have it on a hierarchy of cgroup v1 that systemd still writes to (until 257).

        Not in containers: what is mounted there is another manager's to set.
        """
        known = self.facts.get("cgroup", {}).get("legacy", [])
        there = {"io": "blkio"}.get(name, name) in known and not self.controller(name)
        return there and not self.container and self.systemd < 258

    @property
    def apparmor(self) -> bool:
        """Whether a profile confines the unit: the kernel mediates, the parser knows ABI 3.0, systemd can set it."""
        return not self.no_apparmor

    @property
    def no_apparmor(self) -> str:
        """Why no profile confines the unit, or nothing."""
        facts = self.facts.get("apparmor", {})
        if self.container:
            return "it is a container"
        if not facts.get("enabled") or "apparmor" not in self.facts.get("lsm", []):
            return "its kernel runs without it"
        if not facts.get("parser") or "3.0" not in facts.get("abis", []):
            return "it has no apparmor_parser that knows ABI 3.0"
        if not self.flags.get("APPARMOR"):
            return "its systemd is built without it"
        # It denies, and ours only watches: to put ours in its place would open the application.
        return f"in audit mode {self.vendor_profile} stays" if self._audit and self.vendor_profile else ""

    @property
    def vendor_profile(self) -> str:
        """The AppArmor profile that the unit would run under without the policy, for people, or nothing."""
        written, attached = self.value("AppArmorProfile"), self._unit.get("profile", "")
        if written:
            return f"the unit's own AppArmorProfile={written}" if written.lstrip("-") != "unconfined" else ""
        return attached and f"the profile '{attached}'"

    def resolved(self, path: str) -> str:
        """What ``path`` is once all links in it are followed: the name by which the kernel knows a file."""
        links = self.facts.get("links", {})
        return links.get(path) or links.get(plain(path)) or self.real(path)

    @property
    def bars_programs(self) -> bool:
        """NoExecPaths= is there (systemd 248)."""
        return self.systemd >= 248

    @property
    def filters_bpf(self) -> bool:
        """SocketBind and the like: built in only with BPF_FRAMEWORK; a container may not call bpf()."""
        return bool(self.flags.get("BPF_FRAMEWORK")) and not self.container

    @property
    def filters_devices(self) -> bool:
        """DevicePolicy= does something. systemd leaves it out without a word where bpf(2) is not allowed."""
        return bool(self.facts.get("cgroup", {}).get("device_filter", not self.container))

    def values(self, key: str) -> list[str]:
        """What the vendor, the administrator or an override of the policy set ``key`` to."""
        written = self._overrides.get(key, [])
        if written and key not in _GROWING:
            return list(written)
        return [*self._unit.get("service", {}).get(key, []), *written]

    def unit_values(self, key: str) -> list[str]:
        """What [Unit] of the unit's own files sets ``key`` to."""
        return list(self._unit.get("unit", {}).get(key, []))

    def value(self, key: str, default: str = "") -> str:
        values = self.values(key)
        return values[-1] if values else default

    def vendor(self, key: str) -> list[str]:
        """What the unit's own files say, whatever the policy overrides."""
        return list(self._unit.get("service", {}).get(key, []))

    @property
    def pid_file(self) -> str:
        """Path of the unit's own PIDFile=, which may be told below /run; an override opens nothing."""
        told = self.expanded(self.vendor("PIDFile")[-1]) if self.vendor("PIDFile") else ""
        return self.real(posixpath.join("/run", told)) if told else ""

    def groups_of(self, account: str) -> list[str]:
        """Groups of the unit that give more than the policy's privileges do: its own words, and the account's."""
        named = [word for key in _ACCOUNT_KEYS[1:] for word in self._words(key)]
        by_account = [group for group, names in self.facts.get("groups", {}).items() if account in names]
        found = {name for name in (*named, *by_account) if name in unit_groups.PRIVILEGED or name.isdecimal()}
        return sorted(found)

    def _words(self, key: str) -> list[str]:
        values = self.values(key)
        return self.expanded(" ".join(values if key == "SupplementaryGroups" else values[-1:])).split()

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
        return self.expanded(self.value("User", "root"))

    @property
    def account_is_its_own(self) -> bool:
        """No process of another unit can have its account: systemd makes it for this one (DynamicUser=).

        One that User= names may be another unit's too, and one that is there already is used as it is.
        """
        made = linux_vendor.is_true(self.value("DynamicUser")) and not self.values("User")
        return made and not self._unit.get("static_account", False)

    @property
    def sockets(self) -> tuple[str, ...]:
        """Socket units that start this one: they open its sockets in a cgroup of their own."""
        named = {name for value in self.vendor("Sockets") for name in self.expanded(value).split()}
        return tuple(
            sorted(n for n in {*self._unit.get("triggered_by", []), *named} if n.endswith(".socket"))
        )

    @cached_property
    def programs(self) -> tuple[Program, ...]:
        """Programs of all Exec lines, in the order of a unit's life."""
        found: list[Program] = []
        # The old way to start only ExecStart= in the sandbox (service_spawn() of systemd's service.c).
        start_only = linux_vendor.is_true(self.value("PermissionsStartOnly"))
        for key in EXEC_KEYS:
            for command in (one for line in self.values(key) for one in unit_commands.commands(line)):
                outside = "+" in command.prefix or (start_only and key != "ExecStart")
                for place in self._places(self.expanded(command.program)):
                    found.append(Program(key, self.real(place), outside, "!" in command.prefix))
        return tuple(dict.fromkeys(found))

    def _places(self, program: str) -> list[str]:
        """Where ``program`` lies: one without a path where the host found it, else all folders that are searched."""
        found = self._unit.get("searched", {}).get(program)
        if found and not self._overrides.get("ExecSearchPath"):
            return [found]
        return list(unit_commands.places(program, self.search_folders))

    @property
    def search_folders(self) -> list[str]:
        """Folders of ExecSearchPath=; systemd before 250 does not know it, and looks in its own."""
        written = self.values("ExecSearchPath") if self.systemd >= 250 else []
        return list(unit_commands.search_folders({"ExecSearchPath": written}))

    def interpreter(self, program: str) -> str:
        """What the kernel runs in place of a script, or an empty string."""
        for path, found in self._unit.get("interpreters", {}).items():
            if self.real(path) == program:
                return self.real(found)
        return ""

    def directories(self) -> tuple[tuple[str, str], ...]:
        """(directive, path) of the directories that systemd makes for the unit and leaves writable."""
        return tuple(
            (key, self.real(f"{base}/{name}"))
            for key, base in DIRECTORY_KEYS
            for name in self._directory_names(key)
        )

    def _directory_names(self, key: str) -> list[str]:
        words = [word for value in self.values(key) for word in self.expanded(value).split()]
        names = [word.split(":")[0] for word in words]
        # systemd makes none that is absolute or goes upwards.
        return [name for name in names if not name.startswith("/") and ".." not in name.split("/")]

    def _private_keys(self) -> tuple[str, ...]:
        """Directives whose directories lie in a folder 'private', and only a link to them where they are named.

        exec_directory_is_private() of systemd's execute.c.
        """
        if not linux_vendor.is_true(self.value("DynamicUser")):
            return ()
        keys = ("StateDirectory", "CacheDirectory", "LogsDirectory")
        preserved = self.value("RuntimeDirectoryPreserve", "no").lower()
        return keys if preserved in ("no", "n", "false", "f", "off", "0") else (*keys, "RuntimeDirectory")
