# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of clauses: one frozen type each, in words of no operating system, and the values they are made of.

There are two sorts:

* a *closure* says "nothing but what is listed" (``filesystem.write``, ``network.connect``, ...). It is
  always there, also where the document does not mention it: everything not allowed is denied.
* a *grant* or a *setting* is one entry (``filesystem.write[0]``, ``memory.limit``).

A clause's ``id`` is its path in the document or its own ``id:``; verdicts, lines of artifacts, probes and
waivers all name it. ``origin`` and ``why`` are for people and are in no digest of what a host gets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar


class OS(str, Enum):
    """Operating systems that a policy can be compiled for."""

    LINUX = "linux"
    WINDOWS = "windows"
    MACOS = "macos"


@dataclass(frozen=True)
class Origin:
    """Where a value stands: file, line and column, both counted from 1."""

    file: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True)
class PathRef:
    """A path as written (``$logs`` or ``/srv/www``) and what it is on each operating system.

    ``by_os`` holds (os, path) pairs, sorted by os. A pair with ``None`` says "does not exist there, needs
    nothing". A missing pair says "nobody said": the clause is refused on that system.
    """

    text: str
    by_os: tuple[tuple[OS, str | None], ...]
    glob: bool = False

    def on(self, os: OS) -> str | None:
        """The path on ``os``, or None where it has none."""
        return dict(self.by_os).get(os)

    def known_on(self, os: OS) -> bool:
        """False where the policy says nothing about this path on ``os``."""
        return os in dict(self.by_os)


@dataclass(frozen=True)
class Clause:
    """What all clauses have. ``section`` is the closure that the clause belongs to."""

    section: ClassVar[str] = ""
    id: str
    origin: Origin = field(default=Origin(), compare=False, kw_only=True)
    why: str = field(default="", compare=False, kw_only=True)


# --- identity ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class User(Clause):
    """identity.user: the account that the application runs as."""

    section: ClassVar[str] = "identity.user"
    name: str = ""


@dataclass(frozen=True)
class PrivilegeClosure(Clause):
    """identity.privileges: no privilege but the listed ones, and none to be gained."""

    section: ClassVar[str] = "identity.privileges"


@dataclass(frozen=True)
class Privilege(Clause):
    """identity.privileges[i]: a neutral name out of ``words.PRIVILEGES``."""

    section: ClassVar[str] = "identity.privileges"
    name: str = ""


# --- filesystem -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ReadClosure(Clause):
    section: ClassVar[str] = "filesystem.read"


@dataclass(frozen=True)
class WriteClosure(Clause):
    section: ClassVar[str] = "filesystem.write"


@dataclass(frozen=True)
class ExecuteClosure(Clause):
    section: ClassVar[str] = "filesystem.execute"


@dataclass(frozen=True)
class PathClause(Clause):
    """A clause about one path. A directory means the tree below it."""

    path: PathRef = PathRef("", ())


@dataclass(frozen=True)
class Read(PathClause):
    section: ClassVar[str] = "filesystem.read"


@dataclass(frozen=True)
class Write(PathClause):
    """Writing includes reading, creating and removing below the path."""

    section: ClassVar[str] = "filesystem.write"


@dataclass(frozen=True)
class Execute(PathClause):
    """Executing includes reading."""

    section: ClassVar[str] = "filesystem.execute"


@dataclass(frozen=True)
class Deny(PathClause):
    """filesystem.deny[i]: no access at all. The most specific path wins, deny wins a tie."""

    section: ClassVar[str] = "filesystem.deny"


# --- network ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Port:
    """``tcp/80``, ``udp/5000-5010``, ``tcp/*``: a protocol and an inclusive range."""

    protocol: str
    first: int
    last: int

    def __str__(self) -> str:
        if (self.first, self.last) == (0, 65535):
            return f"{self.protocol}/*"
        return f"{self.protocol}/{self.first}" + ("" if self.first == self.last else f"-{self.last}")


class PeerKind(str, Enum):
    """What a peer is after resolving."""

    ADDRESSES = "addresses"  # addresses and networks, from the document or from an inventory group
    ANY = "any"
    LOOPBACK = "loopback"
    DNS = "dns"  # the host's own resolvers, port 53
    NAME = "name"  # a host name: most packet filters cannot carry it


@dataclass(frozen=True)
class Peer:
    """Who is at the other end. ``text`` is as written; ``addresses`` are canonical, sorted CIDR strings."""

    text: str
    kind: PeerKind
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListenClosure(Clause):
    section: ClassVar[str] = "network.listen"


@dataclass(frozen=True)
class Listen(Clause):
    section: ClassVar[str] = "network.listen"
    port: Port = Port("tcp", 0, 0)


@dataclass(frozen=True)
class ConnectClosure(Clause):
    section: ClassVar[str] = "network.connect"


@dataclass(frozen=True)
class Connect(Clause):
    """network.connect[i]. No ports means every port. ``rate`` is new connections per second."""

    section: ClassVar[str] = "network.connect"
    peer: Peer = Peer("", PeerKind.ANY)
    ports: tuple[Port, ...] = ()
    rate: float | None = None
    max_open: int | None = None


@dataclass(frozen=True)
class Families(Clause):
    """network.families: address families of ``words.FAMILIES``, sorted."""

    section: ClassVar[str] = "network.families"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaxConnections(Clause):
    section: ClassVar[str] = "network.max_connections"
    count: int = 0


# --- processes, memory, cpu, io, files ----------------------------------------------------------------------


@dataclass(frozen=True)
class SpawnClosure(Clause):
    section: ClassVar[str] = "processes.spawn"


@dataclass(frozen=True)
class Spawn(PathClause):
    section: ClassVar[str] = "processes.spawn"


@dataclass(frozen=True)
class Syscalls(Clause):
    """processes.syscalls: groups of ``words.SYSCALL_GROUPS``, sorted."""

    section: ClassVar[str] = "processes.syscalls"
    groups: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaxProcesses(Clause):
    section: ClassVar[str] = "processes.max"
    count: int = 0


@dataclass(frozen=True)
class MemoryLimit(Clause):
    section: ClassVar[str] = "memory.limit"
    bytes: int = 0


@dataclass(frozen=True)
class WritableAndExecutable(Clause):
    section: ClassVar[str] = "memory.writable_and_executable"
    allow: bool = False


@dataclass(frozen=True)
class CoreDumps(Clause):
    section: ClassVar[str] = "memory.core_dumps"
    allow: bool = False


@dataclass(frozen=True)
class CpuLimit(Clause):
    """cpu.limit in percent of one processor."""

    section: ClassVar[str] = "cpu.limit"
    percent: int = 0


@dataclass(frozen=True)
class CpuWeight(Clause):
    section: ClassVar[str] = "cpu.weight"
    weight: int = 100


@dataclass(frozen=True)
class IoWeight(Clause):
    section: ClassVar[str] = "io.weight"
    weight: int = 100


@dataclass(frozen=True)
class MaxOpenFiles(Clause):
    section: ClassVar[str] = "files.max_open"
    count: int = 0


@dataclass(frozen=True)
class MaxFileSize(Clause):
    section: ClassVar[str] = "files.max_size"
    bytes: int = 0


# --- ipc, devices, environment, secrets ---------------------------------------------------------------------


@dataclass(frozen=True)
class UnixSocketClosure(Clause):
    section: ClassVar[str] = "ipc.unix"


@dataclass(frozen=True)
class UnixSocket(PathClause):
    section: ClassVar[str] = "ipc.unix"


@dataclass(frozen=True)
class BusClosure(Clause):
    section: ClassVar[str] = "ipc.dbus"


@dataclass(frozen=True)
class BusName(Clause):
    section: ClassVar[str] = "ipc.dbus"
    name: str = ""


@dataclass(frozen=True)
class SharedMemory(Clause):
    """ipc.shared_memory: ``private`` (own namespace) or ``shared``."""

    section: ClassVar[str] = "ipc.shared_memory"
    private: bool = True


@dataclass(frozen=True)
class DeviceClosure(Clause):
    section: ClassVar[str] = "devices"


@dataclass(frozen=True)
class Device(PathClause):
    section: ClassVar[str] = "devices"


@dataclass(frozen=True)
class EnvironmentClosure(Clause):
    """environment.allow: no inherited variable but the listed ones."""

    section: ClassVar[str] = "environment.allow"
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnvironmentSet(Clause):
    section: ClassVar[str] = "environment.set"
    name: str = ""
    value: str = ""


@dataclass(frozen=True)
class Secret(Clause):
    """secrets[i]: a file handed to the application by the service manager. Durations in seconds."""

    section: ClassVar[str] = "secrets"
    name: str = ""
    source: PathRef = PathRef("", ())
    rotate_after: float | None = None
    rotate_with: str = ""


# --- components -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Component(Clause):
    """components[NAME]: a program that the application starts, and that may do what its own policy says of that.

    ``programs``: (os, path) of the program on each system that the policy names one on. ``clauses``: of that policy.
    It only ever narrows: what the application may not do, its component may not do either.
    """

    section: ClassVar[str] = "components"
    name: str = ""
    policy: str = ""
    version: str = ""
    programs: tuple[tuple[OS, str], ...] = ()
    clauses: tuple[Clause, ...] = ()

    def program(self, os: OS) -> str:
        """The program on ``os``, or nothing."""
        return dict(self.programs).get(os, "")


# --- resilience -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StartTimeout(Clause):
    section: ClassVar[str] = "resilience.start_timeout"
    seconds: float = 0


@dataclass(frozen=True)
class StopTimeout(Clause):
    section: ClassVar[str] = "resilience.stop_timeout"
    seconds: float = 0


@dataclass(frozen=True)
class Restart(Clause):
    """resilience.restart: ``never``, ``on_failure`` or ``always``."""

    section: ClassVar[str] = "resilience.restart"
    when: str = "on_failure"


@dataclass(frozen=True)
class RestartLimit(Clause):
    """resilience.restart_limit ``5/10min``: at most ``count`` starts in ``seconds``."""

    section: ClassVar[str] = "resilience.restart_limit"
    count: int = 0
    seconds: float = 0


@dataclass(frozen=True)
class Watchdog(Clause):
    section: ClassVar[str] = "resilience.watchdog"
    seconds: float = 0
