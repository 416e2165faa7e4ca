# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Service hardening: what service manager, NTFS and Exploit Protection can hold, as a data document.

A restricted service SID makes every write of the service fail unless the object's access list names that SID,
Everyone or WRITE RESTRICTED, so writing is denied by default and granted path by path. Reading is not: that
would take an AppContainer, which the service control manager cannot start.
"""

from __future__ import annotations

import re
from typing import Any

from ..policy.model import (
    OS,
    Clause,
    CoreDumps,
    Deny,
    EnvironmentSet,
    Execute,
    Manifest,
    PathClause,
    Privilege,
    PrivilegeClosure,
    Read,
    Restart,
    RestartLimit,
    Spawn,
    SpawnClosure,
    User,
    WritableAndExecutable,
    Write,
    WriteClosure,
)
from .base import Artifact, BackendError, Compilation, Features, Support
from .collect import Collector
from .win_access import Trees
from .win_names import document, file_of, lines_of, service_of, service_sid, windows_path
from .win_service_table import ACCESS, ALWAYS, BUILDS, HELD, NARROWED, NARROWED_IN_AUDIT, PRIVILEGES, SUPPORT

NAME = "win_service"
PLATFORM = OS.WINDOWS

__all__ = ["NAME", "PLATFORM", "SUPPORT", "Support", "compile"]

LISTED_RESTARTS = 100
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Settings:
    """Fills the document; one method per kind of clause."""

    def __init__(self, manifest: Manifest, features: Features) -> None:
        self.collector = Collector(manifest, OS.WINDOWS, SUPPORT)
        self.manifest = manifest
        self.audit = self.collector.audit
        self.build = int(features.data.get("build") or 0)
        self.service = service_of(manifest)
        workload = manifest.workload(OS.WINDOWS)
        self.named = workload.user if workload else ""
        self.account = self.named or f"NT SERVICE\\{self.service}"
        self.program = workload.executable if workload else ""
        self.trees = Trees(manifest)
        self.sid: dict[str, Any] = {}
        self.privileges: list[dict[str, Any]] = []
        self.grants: list[dict[str, Any]] = []
        self.variables: list[dict[str, Any]] = []
        self.mitigations: list[dict[str, Any]] = []
        self.registry: list[dict[str, Any]] = []
        self.failure: dict[str, Any] = {}

    def missing(self, clause: Clause) -> str:
        return SUPPORT[type(clause)].missing

    def user(self, clause: User) -> None:
        """Names of accounts differ from system to system: identity.user alone does not name one of Windows."""
        if self.audit:
            self.collector.unaudited(clause)
        elif self.account.lower() == clause.name.lower():
            self.collector.enforced(clause, f"runs as {self.account}")
        elif self.named:
            stands = f"runs as {self.account}, which workload.windows.user names in place of {clause.name!r}"
            self.collector.enforced(clause, stands)
        else:
            self.collector.partial(
                clause, f"runs as {self.account} and not as {clause.name!r}: {self.missing(clause)}"
            )

    def privilege_closure(self, clause: PrivilegeClosure) -> None:
        if self.audit:
            self.collector.unaudited(clause)
            return
        self.privileges += [{"name": name, "clause": clause.id} for name in ALWAYS]
        self.collector.partial(clause, self.missing(clause))

    def privilege(self, clause: Privilege) -> None:
        names, why = PRIVILEGES.get(clause.name, ((), f"there is no Windows privilege for {clause.name!r}"))
        if why and not names:
            raise BackendError(f"{why} ({clause.id}).")
        if not self.audit:
            self.privileges += [{"name": name, "clause": clause.id} for name in names]
        borrowed = sorted(set(names) - HELD)
        if borrowed and not why:
            why = f"{self.account} must be given {', '.join(borrowed)}, or the service does not start"
        if not names:
            self.collector.enforced(clause, "Windows asks for no privilege here", "nothing to do")
        elif why:
            self.collector.partial(clause, why)
        else:
            self.collector.enforced(clause)

    def write_closure(self, clause: WriteClosure) -> None:
        if self.audit:
            self.collector.unaudited(clause)
            return
        self.sid = {"type": "restricted", "clause": clause.id}
        self.collector.partial(clause, self.missing(clause))

    def path(self, clause: PathClause) -> None:
        """An entry of a path's access list. One set on a child beats one inherited from above."""
        path = self.collector.path(clause, clause.path)
        if path is None:
            return
        if clause.path.glob:
            raise BackendError(
                f"{clause.path.text!r} is a pattern ({clause.id}): access lists are set on paths only."
            )
        plain = windows_path(path, clause.id)
        kind, rights = ACCESS[type(clause)]
        if kind == "Deny" and self.audit:
            self.collector.unaudited(clause)
            return
        self.grants.append({"path": plain, "type": kind, "rights": list(rights), "clause": clause.id})
        missing = [self.missing(clause)] if self.missing(clause) else []
        if kind == "Allow" and self.trees.taken(plain):
            missing.append(NARROWED_IN_AUDIT if self.audit else NARROWED)
        if missing:
            self.collector.partial(clause, "; ".join(missing))
        else:
            self.collector.enforced(clause)

    def narrow(self) -> None:
        """Take back what granted paths would inherit beyond their grant; in audit mode nothing is denied."""
        if not self.audit:
            for path, rights, clause in self.trees.narrowed():
                self.grants.append({"path": path, "type": "Deny", "rights": list(rights), "clause": clause})

    def spawn_closure(self, clause: SpawnClosure) -> None:
        """Children are forbidden to the image only where no program at all may be run, not even its own."""
        if any(item.path.on(OS.WINDOWS) for kind in (Spawn, Execute) for item in self.manifest.of(kind)):
            return
        self._mitigate(clause, "DisallowChildProcessCreation", "AuditChildProcess", "child_process")

    def writable_and_executable(self, clause: WritableAndExecutable) -> None:
        if clause.allow:
            self.collector.enforced(clause, "allowed, which is Windows' default", "nothing to do")
        else:
            self._mitigate(clause, "BlockDynamicCode", "AuditDynamicCode", "dynamic_code")

    def _mitigate(self, clause: Clause, block: str, audit: str, since: str) -> None:
        if self.build < BUILDS[since]:
            raise BackendError(
                f"Exploit Protection has {block} from build {BUILDS[since]} on, this is {self.build}."
            )
        image = self._image(clause)
        self.mitigations.append(
            {"image": image, "enable": [audit if self.audit else block], "clause": clause.id}
        )
        detail = f"every program named {image!r} on the host gets it: mitigations are keyed by file name"
        if self.audit:
            detail = f"logged, not blocked; {detail}"
        self.collector.partial(clause, detail, "Exploit Protection")

    def _image(self, clause: Clause) -> str:
        if not self.program:
            raise BackendError(
                f"The policy names no program (workload.windows.executable), which {clause.id} needs."
            )
        return windows_path(self.program, "workload.windows.executable").rpartition("\\")[2]

    def core_dumps(self, clause: CoreDumps) -> None:
        if clause.allow:
            self.collector.enforced(clause, "allowed, which is Windows' default", "nothing to do")
            return
        if self.audit:
            self.collector.unaudited(clause)
            return
        key = r"HKLM\SOFTWARE\Microsoft\Windows\Windows Error Reporting\ExcludedApplications"
        value = {"key": key, "value": self._image(clause), "type": "dword", "data": 1}
        self.registry.append({**value, "clause": clause.id})
        self.collector.partial(clause, self.missing(clause))

    def environment(self, clause: EnvironmentSet) -> None:
        if not _VARIABLE.fullmatch(clause.name) or re.search("[\x00\r\n]", clause.value):
            raise BackendError(
                f"{clause.name!r} cannot be set for a service ({clause.id}): write it as NAME: one line."
            )
        self.variables.append({"entry": f"{clause.name}={clause.value}", "clause": clause.id})
        self.collector.enforced(clause)

    def restart(self, clause: Restart) -> None:
        limit = next(iter(self.manifest.of(RestartLimit)), None)
        actions = [] if clause.when == "never" else [{"type": "restart", "delay_seconds": 1}] * 3
        if limit and limit.count > LISTED_RESTARTS:
            limit = (
                None  # refused by itself; what is refused is not written, and certainly not a million times
            )
        if limit and actions:
            actions = [{"type": "restart", "delay_seconds": 1}] * limit.count + [
                {"type": "none", "delay_seconds": 0}
            ]
        self.failure = {
            "actions": actions,
            "reset_seconds": round(limit.seconds) if limit else 86400,
            "also_on_error_exit": True,
            "clause": clause.id,
        }
        if clause.when == "always":
            self.collector.partial(clause, self.missing(clause))
        else:
            self.collector.enforced(clause)

    def restart_limit(self, clause: RestartLimit) -> None:
        if not 0 <= clause.count <= LISTED_RESTARTS:
            raise BackendError(
                f"{clause.count} restarts cannot be listed one by one ({clause.id}): write at most {LISTED_RESTARTS}."
            )
        if not self.manifest.of(Restart):
            raise BackendError(f"{clause.id} limits restarts, but the policy has no resilience.restart.")
        self.collector.partial(clause, self.missing(clause))

    def data(self) -> dict[str, Any]:
        """The document. Lists are sorted, so that they do not depend on the order of clauses."""

        def ordered(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return sorted(
                entries, key=lambda entry: sorted((key, str(value)) for key, value in entry.items())
            )

        privileges = {entry["name"]: entry for entry in reversed(ordered(self.privileges))}
        return {
            "format": 1,
            "kind": "service_settings",
            "service": self.service,
            "service_sid": service_sid(self.service),
            "account": None if self.audit else self.account,
            "sid": self.sid or {"type": "unrestricted"},
            "required_privileges": ordered(list(privileges.values())),
            "access": ordered(self.grants),
            "environment": ordered(self.variables),
            "process_mitigations": ordered(self.mitigations),
            "registry": ordered(self.registry),
            "failure_actions": self.failure,
        }


def compile(manifest: Manifest, features: Features) -> Compilation:
    """Render ``service.json`` and the verdicts. ``features.data["build"]``: Windows' build number, 20348."""
    settings = Settings(manifest, features)
    settings.collector.run(
        {
            User: settings.user,
            PrivilegeClosure: settings.privilege_closure,
            Privilege: settings.privilege,
            WriteClosure: settings.write_closure,
            **dict.fromkeys((Read, Write, Execute, Spawn, Deny), settings.path),
            SpawnClosure: settings.spawn_closure,
            WritableAndExecutable: settings.writable_and_executable,
            CoreDumps: settings.core_dumps,
            EnvironmentSet: settings.environment,
            Restart: settings.restart,
            RestartLimit: settings.restart_limit,
        }
    )
    settings.narrow()
    content = document(settings.data())
    path = file_of(manifest, "service.json")
    artifact = Artifact(
        path, content, "powershell_data", owner="SYSTEM", group="SYSTEM", lines=lines_of(content)
    )
    return Compilation((artifact,), settings.collector.verdicts())
