# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Audit mode: only what can observe without denying. Mounts, capabilities and limits have no such form."""

from __future__ import annotations

from ..policy.model import OS, Syscalls
from . import systemd_apparmor
from .apparmor_table import SUPPORT as PROFILED
from .base import Status, Verdict
from .systemd_network import tie_to_slice
from .systemd_plan import Plan

_UNSEEN = "audit: not observable on this system, nothing is rendered for it"


def emit(plan: Plan) -> None:
    """The slice (for the packet filter's log) and SystemCallLog=, and a verdict for every clause and override."""
    for clause in plan.manifest.clauses:
        unwatched = plan.host.no_apparmor if type(clause) in PROFILED else ""
        why = f"; no profile logs: {unwatched}" if unwatched else ""
        plan.partial(clause, "none", detail=_UNSEEN + why)
    for override in plan.manifest.overrides:
        if override.os is OS.LINUX and override.backend == "systemd":
            left_out = Verdict(
                override.id, Status.PARTIAL, ("systemd none",), "audit: overrides are left out"
            )
            plan.verdicts[override.id] = left_out
    tie_to_slice(plan)
    systemd_apparmor.emit(plan)
    syscalls = plan.one(Syscalls)
    if syscalls is None:
        return
    # Before 257 it sets NoNewPrivileges for a unit with User=, which does break setuid helpers.
    harmless = plan.host.systemd >= 257 or plan.host.user in ("root", "0")
    if not plan.host.flags.get("SECCOMP") or not harmless:
        plan.partial(
            syscalls,
            "none",
            detail="audit: SystemCallLog= would set NoNewPrivileges for a unit with User= before systemd 257: left out",
        )
        return
    plan.text.add("SystemCallLog", "~@system-service", syscalls.id)
    plan.partial(
        syscalls, "SystemCallLog", detail="audit: calls outside of @system-service are logged by the kernel"
    )
