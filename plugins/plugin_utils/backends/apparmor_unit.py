# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The oneshot that loads a policy's profile. The application requires it: without its profile it does not start."""

from __future__ import annotations

from .base import Artifact
from .linux_names import UNITS, profile_path, profile_unit
from .systemd_text import UnitText

PARSER = "/sbin/apparmor_parser"


def loader(policy: str, application: str, clause: str) -> Artifact:
    """Loads the profile before the application, whether or not the distribution's apparmor.service does.

    Where the kernel has no AppArmor (booted with apparmor=0) the parser fails, and so the application does not start:
    systemd itself would start it unconfined. No cache (-K): it would stay behind. It has no Conflicts=shutdown.target,
    so that a shutdown does not unload the profile from under what still runs.
    """
    name = profile_unit(policy)
    text = UnitText(f"Managed by Bulkhead: policy {policy}")
    unit = {
        "Description": f"AppArmor profile of Bulkhead policy {policy}",
        "DefaultDependencies": "no",
        "After": "local-fs.target apparmor.service",
        "Before": application,
    }
    for key, value in unit.items():
        text.set(key, value, clause, "Unit")
    load = f"{PARSER} -r -K {profile_path(policy)}"
    text.set("Type", "oneshot", clause)
    text.set("RemainAfterExit", "yes", clause)
    text.set("ExecStart", load, clause)
    text.set("ExecReload", load, clause)
    # The application requires this unit, so it is down by now: what runs under a profile that goes is unconfined.
    text.set("ExecStop", f"-{PARSER} -R -K {profile_path(policy)}", clause)
    content, lines = text.render()
    return Artifact(f"{UNITS}/{name}", content, "systemd_unit", unit=name, lines=lines)
