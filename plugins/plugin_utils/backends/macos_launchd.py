# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""launchd: the property list of our own job, which runs the daemon's program under its sandbox profile.

The vendor's property list is left alone. Its job is to be switched off, and its arguments are to be taken
over, when a later version applies this one; a policy does not know the arguments.
"""

from __future__ import annotations

import plistlib
import re
from typing import Any

from ..policy.model import (
    OS,
    Clause,
    CoreDumps,
    CpuWeight,
    EnvironmentClosure,
    EnvironmentSet,
    IoWeight,
    Manifest,
    MaxFileSize,
    MaxOpenFiles,
    MaxProcesses,
    Privilege,
    PrivilegeClosure,
    Restart,
    RestartLimit,
    StopTimeout,
    User,
)
from .base import Artifact, BackendError, Compilation, Features
from .collect import UNSEEN, Collector
from .macos_launchd_table import SUPPORT
from .macos_names import SHARED_ACCOUNTS, account_of, label_of, profile_of, program_of

NAME = "macos_launchd"
PLATFORM = OS.MACOS

__all__ = ["NAME", "PLATFORM", "SUPPORT", "compile", "plain"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# XML 1.0 without control characters; plistlib itself lets lone surrogates and U+FFFE through.
_NOT_XML = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\x7f-\x9f]")
_LARGEST = 2**63 - 1


def plain(value: str) -> str:
    """A string that a property list can carry as it is. Raises ``BackendError`` where it cannot."""
    if _NOT_XML.search(value):
        raise BackendError(f"{value!r} has a character that a property list cannot carry: write it without.")
    return value


class Job:
    """Fills the property list; one method per kind of clause."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.collector = Collector(manifest, OS.MACOS, SUPPORT)
        self.audit = self.collector.audit
        self.account = account_of(manifest)
        workload = manifest.workload(OS.MACOS)
        self.named = workload.user if workload else ""
        self.keys: dict[str, Any] = {}
        self.limits: dict[str, int] = {}
        self.variables: dict[str, str] = {}
        self.cleared = False

    def missing(self, clause: Clause) -> str:
        return SUPPORT[type(clause)].missing

    def user(self, clause: User) -> None:
        """Names of accounts differ from system to system: identity.user alone may name none of macOS."""
        if self.audit:
            self.collector.unaudited(clause)
        elif not self.named:
            self.collector.partial(
                clause,
                f"runs as {self.account}, or not at all where there is no such account: {self.missing(clause)}",
            )
        elif self.named == clause.name:
            self.collector.enforced(clause, f"runs as {self.account}")
        else:
            stands = f"runs as {self.account}, which workload.macos.user names in place of {clause.name!r}"
            self.collector.enforced(clause, stands)

    def privilege_closure(self, clause: PrivilegeClosure) -> None:
        if self.audit:
            self.collector.unaudited(clause)
        elif self.account in ("", "root"):
            raise BackendError(
                f"A daemon of root has every privilege ({clause.id}): name an account (workload.macos.user)."
            )
        else:
            self.collector.partial(clause, self.missing(clause))

    def privilege(self, clause: Privilege) -> None:
        if clause.name != "bind_low_port":
            raise BackendError(
                f"macOS has no single privilege {clause.name!r} ({clause.id}): a daemon is root or it is not."
            )
        self.collector.partial(
            clause, f"any account may listen below 1024 on all addresses; {UNSEEN}", "nothing to do"
        )

    def _limit(self, clause: Clause, key: str, value: int) -> None:
        if not 0 <= value <= _LARGEST:
            raise BackendError(f"{value} is no limit that launchd can carry ({clause.id}).")
        if self.audit:
            self.collector.unaudited(clause)
            return
        self.limits[key] = value
        if self.missing(clause):
            self.collector.partial(clause, self.missing(clause))
        else:
            self.collector.enforced(clause)

    def open_files(self, clause: MaxOpenFiles) -> None:
        self._limit(clause, "NumberOfFiles", clause.count)

    def processes(self, clause: MaxProcesses) -> None:
        if self.account in SHARED_ACCOUNTS:
            raise BackendError(
                f"launchd counts them by account ({clause.id}); {self.account or 'root'!r} is shared: "
                "give the daemon an account of its own (workload.macos.user)."
            )
        self._limit(clause, "NumberOfProcesses", clause.count)

    def file_size(self, clause: MaxFileSize) -> None:
        self._limit(clause, "FileSize", clause.bytes)

    def core_dumps(self, clause: CoreDumps) -> None:
        if clause.allow:
            self.collector.enforced(clause, "no limit is set", "nothing to do")
        else:
            self._limit(clause, "Core", 0)

    def cpu_weight(self, clause: CpuWeight) -> None:
        """Below 100 the daemon is made nicer, above 100 less nice, up to the ends of nice's scale."""
        if clause.weight != 100:
            nice = (100 - clause.weight) // 5 if clause.weight < 100 else -min(20, clause.weight // 100)
            self.keys["Nice"] = max(-20, min(20, nice))
        self._weight(clause, clause.weight)

    def io_weight(self, clause: IoWeight) -> None:
        if clause.weight > 100:
            raise BackendError(f"launchd can lower a daemon's input and output, not raise it ({clause.id}).")
        if clause.weight < 100:
            self.keys["LowPriorityIO"] = True
        self._weight(clause, clause.weight)

    def _weight(self, clause: Clause, weight: int) -> None:
        if weight == 100:
            self.collector.enforced(clause, "100 is the default", "nothing to do")
        else:
            self.collector.partial(clause, self.missing(clause))

    def environment(self, clause: EnvironmentSet) -> None:
        if not _VARIABLE.fullmatch(clause.name):
            raise BackendError(
                f"{clause.name!r} is no name of a variable ({clause.id}): write letters, digits and '_'."
            )
        self.variables[clause.name] = plain(clause.value)
        self.collector.enforced(clause)

    def environment_closure(self, clause: EnvironmentClosure) -> None:
        if self.audit:
            self.collector.unaudited(clause)
            return
        self.cleared = True
        if clause.names:
            self.collector.partial(clause, self.missing(clause))
        else:
            self.collector.enforced(clause)

    def restart(self, clause: Restart) -> None:
        modes: dict[str, Any] = {"never": False, "always": True, "on_failure": {"SuccessfulExit": False}}
        if clause.when not in modes:
            raise BackendError(f"{clause.when!r} is no way to restart ({clause.id}).")
        self.keys["KeepAlive"] = modes[clause.when]
        self.collector.enforced(clause)

    def restart_limit(self, clause: RestartLimit) -> None:
        """launchd waits at least so many seconds between two starts (ThrottleInterval, 10 by default)."""
        self.keys["ThrottleInterval"] = max(1, round(clause.seconds / max(1, clause.count)))
        self.collector.partial(clause, self.missing(clause))

    def stop_timeout(self, clause: StopTimeout) -> None:
        # 0 would mean "wait for ever".
        self.keys["ExitTimeOut"] = max(1, round(clause.seconds))
        self.collector.enforced(clause)

    def plist(self) -> dict[str, Any]:
        """The property list. With a cleared environment, ``env -i`` stands before sandbox-exec."""
        wrapped = [
            "/usr/bin/sandbox-exec",
            "-f",
            plain(profile_of(self.manifest)),
            plain(program_of(self.manifest)),
        ]
        assignments = [f"{name}={value}" for name, value in sorted(self.variables.items())]
        if self.account and not self.audit:
            self.keys["UserName"] = self.account
        job: dict[str, Any] = {"Label": label_of(self.manifest), "RunAtLoad": True, **self.keys}
        job["ProgramArguments"] = ["/usr/bin/env", "-i", *assignments, *wrapped] if self.cleared else wrapped
        if self.variables and not self.cleared:
            job["EnvironmentVariables"] = self.variables
        if self.limits:
            # The hard limit too: a soft one is for the daemon itself to raise.
            job["SoftResourceLimits"] = job["HardResourceLimits"] = self.limits
        return job


def compile(manifest: Manifest, features: Features) -> Compilation:  # noqa: ARG001
    """Render the property list and the verdicts. Same manifest, same bytes; the features do not matter."""
    job = Job(manifest)
    job.collector.run(
        {
            User: job.user,
            PrivilegeClosure: job.privilege_closure,
            Privilege: job.privilege,
            MaxOpenFiles: job.open_files,
            MaxProcesses: job.processes,
            MaxFileSize: job.file_size,
            CoreDumps: job.core_dumps,
            CpuWeight: job.cpu_weight,
            IoWeight: job.io_weight,
            EnvironmentSet: job.environment,
            EnvironmentClosure: job.environment_closure,
            Restart: job.restart,
            RestartLimit: job.restart_limit,
            StopTimeout: job.stop_timeout,
        }
    )
    content = plistlib.dumps(job.plist(), fmt=plistlib.FMT_XML, sort_keys=True)
    label = label_of(manifest)
    path = f"/Library/LaunchDaemons/{label}.plist"
    return Compilation(
        (Artifact(path, content, "launchd_plist", group="wheel", unit=label),), job.collector.verdicts()
    )
