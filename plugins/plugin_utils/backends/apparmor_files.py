# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""filesystem.*, processes.spawn and devices as file rules, and what the base set and the unit itself need."""

from __future__ import annotations

from collections.abc import Iterator

from ..policy import model as m
from ..policy.base import BASE_READ
from ..policy.model import OS, Manifest, Mode
from .apparmor_layers import EXECUTE, READ, WRITE, Layer, Rules, lay
from .apparmor_rights import Rights, undone
from .apparmor_table import DEVICES, MANAGER_SOCKETS, PRIVATE, RESOLV_CONF
from .apparmor_text import ProfileText, outside, parts_of, pattern
from .base import BackendError, Status, Verdict
from .linux_host import Host
from .linux_names import plain, within
from .linux_patterns import opened_for
from .linux_tables import (
    BUS,
    LIBRARIES,
    LIBRARIES_UNMERGED,
    PRIVILEGED_SOCKETS,
)

_MAY: dict[type[m.PathClause], frozenset[str]] = {
    m.Read: READ,
    m.Write: WRITE,
    m.Execute: EXECUTE,
    m.Spawn: EXECUTE,
    m.Device: frozenset("rw"),
    m.Deny: frozenset(),
}

# Tried on kernels 6.1 and 6.12: exec of a memfd is denied, mapping it is no file access that is mediated.
_MAPPED = (
    "no program but these starts; a process can still map code that it holds in memory (memfd) into itself"
)


class Files:
    """File rules and verdicts of one policy."""

    def __init__(self, manifest: Manifest, host: Host, program: str = "") -> None:
        """``program``: of a component, which may read itself and has nothing of what the unit's own files ask for."""
        self.manifest, self.host = manifest, host
        self.audit = manifest.mode is Mode.AUDIT
        self.rights = Rights(manifest, host)
        self.refused: dict[str, str] = {}
        self.layers: list[Layer] = []
        self.opened: list[str] = []
        for kind, may in _MAY.items():
            for clause in manifest.of(kind):
                try:
                    self.layers += self._layers(clause, may)
                except BackendError as error:
                    self.refused[clause.id] = str(error)
        self.layers += self._itself(program) if program else self._unit()
        self.layers += sorted(self._base())
        self.rules: Rules = lay(self.layers, self.audit)

    def write(self, text: ProfileText) -> None:
        for rule in self.rules.rules:
            text.path(rule.where, rule.may, rule.clause, deny=rule.deny)
        if not self.audit:
            return
        # A program that no rule lists would get a profile of its own, which NoNewPrivileges refuses even in complain
        # mode. So each is listed, and those that the policy does not grant are logged.
        granted = sorted({layer.parts for layer in self.layers if "x" in layer.may and not layer.pattern})
        outer = [path for path in granted if not any(path[: len(o)] == o != path for o in granted)]
        for place in outside((), outer) if () not in outer else ():
            if place != "/":
                text.path(place, "ix", self._closure(m.ExecuteClosure), audit=True)

    # --- layers ---

    def _layers(self, clause: m.PathClause, may: frozenset[str]) -> list[Layer]:
        path = clause.path.on(OS.LINUX)
        if path is None:
            return []
        deny = isinstance(clause, m.Deny)
        if clause.path.glob:
            components = [component for component in path.split("/") if component]
            parts_of(path, clause.id)
            shown = tuple(pattern(component, clause.id) for component in components)
            names = tuple(component.encode() for component in components)
            if not deny:
                opened_for(self.manifest, self.host, clause)
            return [Layer(names, clause.id, may, deny, shown)]
        named = plain(path)
        beside = any(within(named, tree) for tree in (*PRIVILEGED_SOCKETS, BUS))
        if beside and not isinstance(clause, (m.Deny, m.Write)):
            return []  # refused by systemd's backend: it belongs under ipc
        paths = {named, self.host.resolved(named)}
        return [Layer(parts_of(one, clause.id), clause.id, may, deny) for one in sorted(paths)]

    def _unit(self) -> Iterator[Layer]:
        """What the unit's own files ask for: the same that the mounts open for it."""
        closure = self._closure(m.WriteClosure)
        granted = [
            plain(path)
            for clause in self.manifest.of(m.Write)
            if not clause.path.glob and (path := clause.path.on(OS.LINUX))
        ]
        for key, path in self.host.directories():
            if not any(within(path, tree) for tree in granted):
                self.opened.append(f"{path} is writable, because the unit's own {key}= makes it")
                yield Layer(parts_of(path, closure), closure, WRITE)
        # systemd starts the unit's programs itself, which needs no rule; a script is read by its interpreter.
        closure = self._closure(m.ExecuteClosure)
        for program in self.host.programs:
            if self.host.interpreter(program.path):
                for path in sorted({program.path, self.host.resolved(program.path)}):
                    yield Layer(parts_of(path, closure), closure, READ, base=True)

    def _itself(self, program: str) -> Iterator[Layer]:
        """The kernel maps a program's own file under the profile that the program changes to."""
        closure = self._closure(m.ExecuteClosure)
        for path in sorted({program, self.host.resolved(program)}):
            yield Layer(parts_of(path, closure), closure, frozenset("mr"), base=True)

    def _base(self) -> Iterator[Layer]:
        read, execute = self._closure(m.ReadClosure), self._closure(m.ExecuteClosure)
        write = self._closure(m.WriteClosure)
        devices = dict(DEVICES)

        def layer(path: str, letters: str, clause: str) -> Layer:
            return Layer(parts_of(path, clause), clause, frozenset(letters), base=True)

        for path in BASE_READ[OS.LINUX]:
            if path != "/proc/self":
                yield layer(self.host.resolved(path), devices.get(path, "r"), read)
        for path in RESOLV_CONF:
            yield layer(path, "r", read)
        for path in LIBRARIES if self.host.facts.get("merged_usr") else (*LIBRARIES, *LIBRARIES_UNMERGED):
            yield layer(path, "mr", execute)
        for path in PRIVATE:
            yield layer(path, "rwkl", write)
        for path in MANAGER_SOCKETS:
            yield layer(path, "rw", write)
        # The kernel's name for /proc/self; others' entries are hidden by ProtectProc= and the ptrace rule.
        yield Layer((b"proc", b"[0-9]*"), read, frozenset("r"), pattern=("proc", "[0-9]*"), base=True)
        for name in ("comm", "oom_score_adj"):
            for folders in ((), (b"task", b"[0-9]*")):
                parts = (b"proc", b"[0-9]*", *folders, name.encode())
                shown = tuple(part.decode() for part in parts)
                yield Layer(parts, write, frozenset("rw"), pattern=shown, base=True)
        python = (b"etc", b"python3*")  # its sitecustomize.py, which Debian keeps there
        yield Layer(python, read, frozenset("r"), pattern=tuple(part.decode() for part in python), base=True)
        for socket in self.manifest.of(m.UnixSocket):
            there = socket.path.on(OS.LINUX)
            if there and not socket.path.glob:
                yield layer(self.host.resolved(plain(there)), "rw", socket.id)
        for secret in self.manifest.of(m.Secret):
            yield layer(f"/run/credentials/{self.host.unit}/{secret.name}", "r", secret.id)

    def _closure(self, kind: type[m.Clause]) -> str:
        found = self.manifest.of(kind)
        return found[0].id if found else kind.section

    def runs(self, path: str) -> bool:
        """Whether the rules let a program of this very path run, whatever patterns say of it."""
        deciding = [layer for layer in self.layers if not layer.base and not layer.pattern]
        there = parts_of(path, m.Execute.section)
        around = [layer for layer in deciding if there[: len(layer.parts)] == layer.parts]
        deepest = max((len(layer.parts) for layer in around), default=-1)
        nearest = [layer for layer in around if len(layer.parts) == deepest]
        return any("x" in layer.may for layer in nearest) and not any(layer.deny for layer in nearest)

    # --- verdicts ---

    def _grant(self, clause: m.PathClause, mechanism: str) -> Verdict | None:
        """Enforced where the mounts carry the grant as well; what they cannot carry systemd's backend says."""
        path = clause.path.on(OS.LINUX) or ""
        if clause.id in self.refused:
            raise BackendError(self.refused[clause.id])
        if clause.id in self.rules.lost:
            raise BackendError(
                f"a denial by pattern covers '{path}' ({clause.id}), and AppArmor's denials cannot be opened again: "
                "name what is to be denied."
            )
        if not clause.path.glob and (":" in path or "\\" in path):
            return None
        if any(within(plain(path), tree) for tree in (*PRIVATE, *PRIVILEGED_SOCKETS, BUS)):
            return None
        return Verdict(clause.id, Status.ENFORCED, (f"apparmor {mechanism}",))

    def read(self, clause: m.Read) -> Verdict | None:
        return self._grant(clause, "r")

    def write_grant(self, clause: m.Write) -> Verdict | None:
        return self._grant(clause, "w")

    def execute(self, clause: m.Execute | m.Spawn) -> Verdict | None:
        return self._grant(clause, "ix")

    def device(self, clause: m.Device) -> Verdict | None:
        return self._grant(clause, "rw")

    def deny(self, clause: m.Deny) -> Verdict:
        if clause.id in self.refused:
            raise BackendError(self.refused[clause.id])
        missing = []
        path = plain(clause.path.on(OS.LINUX) or "")
        if clause.id in self.rules.unlogged:
            missing.append("a pattern inside of a grant cannot be told apart without denying it")
        if not clause.path.glob and path in self.host.facts.get("links", {}):
            missing.append(
                f"'{path}' goes through a link to '{self.host.resolved(path)}': holds for both, and not for another "
                "place that the link is set to later"
            )
        return self._weigh(clause, "audit deny", [*missing, *self.undone()])

    def read_closure(self, clause: m.ReadClosure) -> Verdict:
        return self._weigh(clause, "file rules", self.undone())

    def write_closure(self, clause: m.WriteClosure) -> Verdict:
        return self._weigh(clause, "file rules", [*self.opened, *self.undone()])

    def execute_closure(self, clause: m.ExecuteClosure | m.SpawnClosure) -> Verdict:
        return self._weigh(clause, "file rules ix and m", self.undone(), _MAPPED)

    def device_closure(self, clause: m.DeviceClosure) -> Verdict:
        return self._weigh(clause, "file rules", self.undone())

    def undone(self) -> list[str]:
        """What the unit or the policy itself lets pass by the profile."""
        outside_ = [f"{path} runs outside of the sandbox (prefix '+')" for path in self.rights.escapes]
        return [*outside_, *undone(self.rights)]

    def _weigh(self, clause: m.Clause, mechanism: str, missing: list[str], *notes: str) -> Verdict:
        said = [*missing, *notes]
        if self.host.vendor_profile and isinstance(clause, m.ReadClosure):
            said.append(f"replaces {self.host.vendor_profile}")
        status = Status.PARTIAL if missing else Status.ENFORCED
        return Verdict(clause.id, status, (f"apparmor {mechanism}",), "; ".join(said))
