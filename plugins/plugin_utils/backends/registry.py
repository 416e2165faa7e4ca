# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backends an operating system has, and the support matrix printed from their own tables."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any, cast

from ..policy.model import OS
from .base import Backend

# Names of modules beside this one. Imported on first use: a run for one system loads no other's tables.
BACKENDS: dict[OS, tuple[str, ...]] = {
    OS.LINUX: ("systemd", "apparmor", "nftables"),
    OS.WINDOWS: ("win_service", "win_firewall", "win_applocker", "win_job"),
    OS.MACOS: ("macos_sandbox", "macos_launchd", "macos_pf"),
}
# The backends that take overrides (overrides.<os>.<backend>.<key>); for any other name they are refused.
OVERRIDABLE: dict[OS, tuple[str, ...]] = {OS.LINUX: ("systemd",), OS.WINDOWS: (), OS.MACOS: ()}


@cache
def backends(os: OS) -> tuple[Backend, ...]:
    """The backend modules of ``os``, in the order in which their artifacts are listed."""
    package = __name__.rpartition(".")[0]
    return tuple(cast(Backend, importlib.import_module(f"{package}.{name}")) for name in BACKENDS[os])


def support_matrix() -> list[dict[str, Any]]:
    """One row per clause kind, system and backend: {clause, kind, os, backend, grade, mechanism, since, missing}.

    Sorted by clause section, kind, system and backend, so that printed documentation is stable.
    """
    rows = [
        {
            "clause": kind.section,
            "kind": kind.__name__,
            "os": os.value,
            "backend": backend.NAME,
            "grade": support.grade.value,
            "mechanism": support.mechanism,
            "since": support.since,
            "missing": support.missing,
        }
        for os in OS
        for backend in backends(os)
        for kind, support in backend.SUPPORT.items()
    ]
    return sorted(rows, key=lambda row: (row["clause"], row["kind"], row["os"], row["backend"]))
