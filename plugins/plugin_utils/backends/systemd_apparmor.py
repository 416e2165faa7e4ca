# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drop-in's ties to the policy's AppArmor profile (systemd.exec(5), AppArmorProfile=)."""

from __future__ import annotations

from ..policy.model import ReadClosure
from .linux_names import profile_name, profile_unit
from .systemd_plan import Plan


def emit(plan: Plan) -> None:
    """Start under the profile, after it is loaded, and not without it: a leading '-' would start unconfined.

    A profile that the vendor's unit names is replaced: ours allows nothing but what the policy grants.
    """
    if not plan.host.apparmor:
        return
    closure = plan.one(ReadClosure)
    clause = closure.id if closure else ReadClosure.section
    unit = profile_unit(plan.manifest.policy)
    plan.text.set("AppArmorProfile", profile_name(plan.manifest.policy), clause)
    plan.text.add("Requires", unit, clause, "Unit")
    plan.text.add("After", unit, clause, "Unit")
