# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""macOS sandbox: a profile in SBPL that launchd's job runs its program under, through sandbox-exec.

The kernel enforces it; sandbox-exec is marked deprecated since macOS 10.8 and still there in every version.
Addresses of peers, which a profile cannot tell apart, are left to the packet filter (``macos_pf``): the
profile opens the port, and does so only where that backend narrows it again.
"""

from __future__ import annotations

from ..policy.model import (
    OS,
    BusClosure,
    Clause,
    Connect,
    ConnectClosure,
    Deny,
    Device,
    DeviceClosure,
    Execute,
    ExecuteClosure,
    Families,
    Listen,
    ListenClosure,
    Manifest,
    PathClause,
    Read,
    ReadClosure,
    SharedMemory,
    Spawn,
    SpawnClosure,
    UnixSocket,
    UnixSocketClosure,
    WritableAndExecutable,
    Write,
    WriteClosure,
)
from . import macos_baseline, macos_files
from .base import Artifact, BackendError, Compilation, Features
from .collect import UNSEEN, Collector
from .macos_names import (
    SHARED_ACCOUNTS,
    account_of,
    label_of,
    macos_path,
    needs_packet_filter,
    profile_of,
    program_of,
)
from .macos_network import connection, sockets
from .macos_sandbox_table import FAMILIES, OLDEST, SUPPORT
from .macos_sbpl import Profile, literal, pattern

NAME = "macos_sandbox"
PLATFORM = OS.MACOS

__all__ = ["NAME", "PLATFORM", "SUPPORT", "compile"]

_KINDS: dict[type[Clause], str] = {
    Read: macos_files.READ,
    Write: macos_files.WRITE,
    Execute: macos_files.EXECUTE,
    Spawn: macos_files.EXECUTE,
    Deny: macos_files.DENY,
    Device: macos_files.DEVICE,
}


class Rules:
    """Gathers what clauses say; files are written at the end, in their own order."""

    def __init__(self, manifest: Manifest, features: Features) -> None:
        self.manifest = manifest
        self.collector = Collector(manifest, OS.MACOS, SUPPORT)
        self.audit = self.collector.audit
        self.version = int(features.data.get("version") or 0)
        self.entries: list[macos_files.Entry] = []
        self.allowed: list[tuple[str, tuple[str, ...], str]] = []
        self.defaults: list[tuple[str, str]] = []

    def closure(self, clause: Clause) -> None:
        missing = SUPPORT[type(clause)].missing
        if self.audit:
            self.collector.partial(clause, "audit mode: what would be denied is reported in the system log")
        elif missing:
            self.collector.partial(clause, missing)
        else:
            self.collector.enforced(clause)

    def mach(self, clause: Clause) -> None:
        """Closures over calls that have no filter to report with."""
        if self.audit:
            self.collector.unaudited(clause, "a report needs a rule with a filter, and these calls have none")
        else:
            self.closure(clause)

    def connect_closure(self, clause: ConnectClosure) -> None:
        narrowed = any(needs_packet_filter(peer) for peer in self.manifest.of(Connect))
        if narrowed and not self.audit and account_of(self.manifest) not in SHARED_ACCOUNTS:
            self.collector.partial(clause, "ports of single addresses are narrowed by the packet filter only")
        else:
            self.closure(clause)

    def path(self, clause: PathClause) -> None:
        path = self.collector.path(clause, clause.path)
        if path is None:
            return
        entry = macos_files.Entry(
            macos_path(path, clause.id), _KINDS[type(clause)], clause.id, clause.path.glob
        )
        _checked = (entry.filter, entry.ancestors())  # raises here, while the clause is at hand
        self.entries.append(entry)
        self._carried(clause)

    def unix(self, clause: UnixSocket) -> None:
        path = self.collector.path(clause, clause.path)
        if path is None:
            return
        real = macos_path(path, clause.id)
        self.allowed.append(
            ("network-outbound", (pattern(real) if clause.path.glob else literal(real),), clause.id)
        )
        self._carried(clause)

    def _carried(self, clause: Clause) -> None:
        missing = SUPPORT[type(clause)].missing
        if self.audit and isinstance(clause, Deny):
            self.collector.partial(clause, "audit mode: what would be denied is reported in the system log")
        elif missing:
            self.collector.partial(clause, missing)
        else:
            self.collector.enforced(clause)

    def listen(self, clause: Listen) -> None:
        filters = tuple(f"(local {port})" for port in sockets(clause.port, "*", clause))
        self.allowed.append(("network-bind network-inbound", filters, clause.id))
        self.collector.enforced(clause)

    def connect(self, clause: Connect) -> None:
        rule, missing = connection(clause, account_of(self.manifest))
        self.allowed.append(("network-outbound", rule, clause.id))
        if missing:
            self.collector.partial(clause, "; ".join(missing))
        else:
            self.collector.enforced(clause)

    def families(self, clause: Families) -> None:
        foreign = sorted(set(clause.names) - FAMILIES)
        if foreign:
            raise BackendError(f"macOS has no address family {foreign[0]!r} ({clause.id}).")
        self.closure(clause)

    def shared_memory(self, clause: SharedMemory) -> None:
        if not clause.private:
            self.allowed.append(("ipc-posix-shm* ipc-posix-sem* ipc-sysv*", (), clause.id))
            self.collector.enforced(clause)
        else:
            self.mach(clause)

    def writable_and_executable(self, clause: WritableAndExecutable) -> None:
        if clause.allow:
            self.allowed.append(("dynamic-code-generation", (), clause.id))
            self.collector.partial(clause, f"the operation's effect is {UNSEEN}")
        elif self.audit:
            self.collector.unaudited(clause)
        else:
            self.defaults.append(("dynamic-code-generation", clause.id))
            self.collector.partial(clause, SUPPORT[type(clause)].missing)

    def write(self) -> Profile:
        """The whole profile: what all daemons need, files, network, the rest."""
        profile = Profile(audit=self.audit)
        macos_baseline.write(profile)
        if not self.manifest.of(WritableAndExecutable):
            profile.allow("dynamic-code-generation", [])
        for operation, clause in self.defaults:
            profile.default(operation, clause)
        macos_files.write(profile, self.entries)
        denied = {entry.path for entry in self.entries if entry.kind == macos_files.DENY}
        for operations, filters, clause in sorted(self.allowed, key=lambda rule: (rule[2], rule)):
            # Deny wins a tie: a socket that is denied by name stays closed.
            if not any(literal(path) in filters for path in denied):
                profile.allow(operations, list(filters), clause)
        for entry in sorted(self.entries):
            if entry.kind == macos_files.WRITE:
                profile.allow("network-bind", [entry.filter], entry.clause)
        return profile


def compile(manifest: Manifest, features: Features) -> Compilation:
    """Render the profile and the verdicts. ``features.data["version"]``: macOS' major version, 14."""
    rules = Rules(manifest, features)
    label = label_of(manifest)
    if rules.version < OLDEST:
        raise BackendError(f"Profiles are written for macOS {OLDEST} and later, this is {rules.version}.")
    closures = dict.fromkeys(
        (ReadClosure, WriteClosure, ExecuteClosure, SpawnClosure, ListenClosure, UnixSocketClosure),
        rules.closure,
    )
    rules.collector.run(
        {
            **closures,
            **dict.fromkeys(_KINDS, rules.path),
            ConnectClosure: rules.connect_closure,
            **dict.fromkeys((DeviceClosure, BusClosure), rules.mach),
            UnixSocket: rules.unix,
            Listen: rules.listen,
            Connect: rules.connect,
            Families: rules.families,
            SharedMemory: rules.shared_memory,
            WritableAndExecutable: rules.writable_and_executable,
        }
    )
    program = macos_files.Entry(program_of(manifest), macos_files.EXECUTE, "filesystem.execute")
    rules.entries.append(program)
    content, lines = rules.write().render()
    artifact = Artifact(profile_of(manifest), content, "sbpl", group="wheel", unit=label, lines=lines)
    return Compilation((artifact,), rules.collector.verdicts())
