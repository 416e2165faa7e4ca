# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd backend: one drop-in per service, for systemd 247 to 257 by what the host's build can do.

``zz-bulkhead.conf`` clears the lists that others wrote and writes its own: also a vendor's ``BindPaths=`` and
``TemporaryFileSystem=`` go, so a path that an application needs has to be granted by its policy. The vendor's
``StateDirectory=`` and its like stay, as systemd makes them; they are writable and the verdict says so.
"""

from __future__ import annotations

from ..policy.model import OS, Manifest, Mode
from . import (
    systemd_apparmor,
    systemd_audit,
    systemd_filesystem,
    systemd_identity,
    systemd_ipc,
    systemd_network,
    systemd_overrides,
    systemd_processes,
    systemd_resilience,
    systemd_vendor,
)
from .base import Artifact, Compilation, Features
from .linux_host import Host
from .linux_names import dropin_path
from .systemd_plan import Plan
from .systemd_support import SUPPORT

__all__ = ["NAME", "PLATFORM", "SUPPORT", "compile"]

NAME = "systemd"
PLATFORM = OS.LINUX

_EMITTERS = (
    systemd_identity.emit,
    systemd_filesystem.emit,
    systemd_network.emit,
    systemd_apparmor.emit,
    systemd_processes.emit,
    systemd_ipc.emit,
    systemd_resilience.emit,
    systemd_overrides.emit,
    systemd_vendor.emit,
)


def _host(manifest: Manifest, features: Features) -> Host:
    """The unit without overrides that are refused, and without what counts on one: they must not open anything."""
    host = Host(manifest, features)
    left = systemd_overrides.usable(Plan(manifest, host))
    return host if left == manifest else _host(left, features)


def compile(manifest: Manifest, features: Features) -> Compilation:
    """The drop-in of the policy's unit. Raises BackendError where the unit or systemd is not there."""
    host = _host(manifest, features)
    plan = Plan(manifest, host)
    for emit in (systemd_audit.emit,) if manifest.mode is Mode.AUDIT else _EMITTERS:
        emit(plan)
    content, lines = plan.text.render()
    dropin = Artifact(dropin_path(host.unit), content, "systemd_dropin", unit=host.unit, lines=lines)
    return Compilation(
        artifacts=(dropin,),
        verdicts=tuple(sorted(plan.verdicts.values(), key=lambda verdict: verdict.clause)),
        readbacks=tuple(plan.readbacks),
        probes=tuple(plan.probes),
        holes=tuple(plan.holes),
        loose=tuple(plan.loose),
    )
