# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""identity.*: account and capabilities (capabilities(7))."""

from __future__ import annotations

import re

from ..policy.model import (
    Privilege,
    PrivilegeClosure,
    User,
)
from . import systemd_kernel
from .base import BackendError
from .linux_tables import CAPABILITIES, CAPABILITY_BITS
from .linux_vendor import is_true
from .systemd_plan import Plan

_ACCOUNT = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,30}\$?|[0-9]{1,10}")


def emit(plan: Plan) -> None:
    """User, capabilities, NoNewPrivileges and the kernel's own doors."""
    account = _user(plan)
    _capabilities(plan, account)
    systemd_kernel.emit(plan)


def stays_root(plan: Plan) -> bool:
    """The unit starts as root and becomes another user by itself, which the policy allows by ``switch_user``.

    ``User=`` would take away what such a program does before it switches, so the unit's own way is kept.
    """
    return plan.host.user in ("root", "0") and "switch_user" in plan.granted(Privilege)


def starts_unprivileged(plan: Plan) -> bool:
    """``User=`` is written by us and names no root: the unit's first process already lacks root's file rights."""
    account = plan.text.values("User")
    return bool(account) and account[0] not in ("root", "0")


def reads_as_root(plan: Plan) -> bool:
    """File permissions do not stop the unit: it starts as root, or may read past them."""
    account = plan.one(User)
    root = (account is None and plan.host.user in ("root", "0")) or stays_root(plan)
    named_root = account is not None and account.name in ("root", "0")
    privileged = bool({"override_permissions", "read_any_file"} & plan.granted(Privilege))
    return root or named_root or privileged or bool(plan.host.groups_of(account_of(plan)))


def reached_through_others(plan: Plan) -> list[str]:
    """What mounts do not close: the files of a process outside that ptrace(2) lets the unit look into.

    Mediated by AppArmor alone. Others of the account need not be there, and nobody can say that none will be.
    """
    if is_true(plan.host.value("PrivateUsers")) or plan.host.account_is_its_own:
        return []
    return [
        "through /proc/PID/root of a process outside that has the same account and no more capabilities all is open"
    ]


def account_of(plan: Plan) -> str:
    """Name of the account that the unit starts as under this policy."""
    clause = plan.one(User)
    return plan.host.user if clause is None or stays_root(plan) else clause.name


def _user(plan: Plan) -> str:
    clause = plan.one(User)
    if clause is None:
        return plan.host.user
    if stays_root(plan):
        plan.partial(
            clause,
            "none",
            detail=f"the unit starts as root and becomes '{clause.name}' by itself (privilege switch_user); "
            "its first process stays root, without all capabilities but the granted ones",
        )
        return "root"
    with plan.refusing(clause):
        if not _ACCOUNT.fullmatch(clause.name):
            raise BackendError(
                f"'{clause.name}' is no name of a Linux account ({clause.id}): write one that useradd takes."
            )
        if is_true(plan.host.value("DynamicUser")):
            raise BackendError(
                f"The unit makes its account by DynamicUser= ({clause.id} '{clause.name}'): a fixed one "
                "would not own its data."
            )
        plan.text.set("User", clause.name, clause.id)
        plan.property(clause, "User", clause.name)
        changers = [
            program.path for program in plan.host.programs if program.escapes or program.keeps_privileges
        ]
        missing = [f"{path} runs as root (prefix '+' or '!')" for path in changers]
        plan.weigh(clause, "User", missing=missing)
    return clause.name


def _capabilities(plan: Plan, account: str) -> None:
    closure = plan.one(PrivilegeClosure)
    name = closure.id if closure else PrivilegeClosure.section
    text = plan.text
    bits = 0
    held: list[str] = []
    for privilege in plan.manifest.of(Privilege):
        if privilege.name not in CAPABILITIES:
            plan.refuse(privilege, f"'{privilege.name}' has no capability on Linux")
            continue
        if privilege.name == "make_device" and not systemd_kernel.sees_devices(plan.manifest, plan.host.real):
            # systemd.exec(5), PrivateDevices=: it takes CAP_MKNOD away, and DevicePolicy=closed refuses the rest.
            plan.refuse(
                privilege,
                "PrivateDevices= takes CAP_MKNOD away: grant the devices themselves under devices, or leave it out",
            )
            continue
        for capability in CAPABILITIES[privilege.name]:
            text.add("CapabilityBoundingSet", capability, privilege.id)
            if account not in ("root", "0"):
                # Without it a process that is not root never holds what the bounding set leaves it.
                text.add("AmbientCapabilities", capability, privilege.id)
            bits |= 1 << CAPABILITY_BITS[capability]
            held.append(capability)
        if privilege.name == "make_device":
            plan.partial(
                privilege,
                "CapabilityBoundingSet",
                detail="DevicePolicy=closed lets it make the nodes of /dev/null and its like only",
            )
            continue
        plan.enforce(privilege, "CapabilityBoundingSet")
    for key in ("CapabilityBoundingSet", "AmbientCapabilities"):
        if not text.values(key):
            text.clear(key, name)
    # 257 no longer derives it from the seccomp options: write it, always.
    text.set("NoNewPrivileges", "yes", name)
    by_bit = sorted(set(held), key=CAPABILITY_BITS.__getitem__)
    plan.property(name, "CapabilityBoundingSet", " ".join(by_bit).lower())
    plan.property(name, "NoNewPrivileges", "yes")
    plan.process(name, "NoNewPrivs", "1")
    plan.process(name, "CapBnd", f"{bits:016x}")
    if closure is None:
        return
    plan.probe(closure, "setuid_exec", "", "a setuid program gives no privilege")
    missing = [
        f"{program.path} runs with all privileges (prefix '+')"
        for program in plan.host.programs
        if program.escapes
    ]
    if "administer_system" in plan.granted(Privilege):
        missing.append("administer_system can mount and so undo every path clause")
    missing += plan.undone_by("trace_processes")
    plan.weigh(closure, "CapabilityBoundingSet", "NoNewPrivileges", "ProtectKernel*", missing=missing)
