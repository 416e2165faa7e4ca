# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writable paths that a host cannot give, or that mean another path on it than the policy could know."""

from __future__ import annotations

from ..policy.model import OS, Clause, Execute, Spawn, Write
from .base import BackendError
from .linux_names import below, plain, within
from .linux_tables import LIBRARIES, LIBRARIES_UNMERGED
from .systemd_plan import Plan

# (tree, what makes it read-only whatever ReadWritePaths= says, the privileges that open it): systemd.exec(5)
_KERNEL_TREES = (
    ("/sys/fs/cgroup", "ProtectControlGroups", "administer_system"),
    ("/sys", "ProtectKernelTunables", "configure_network or administer_system"),
    ("/proc", "ProtectKernelTunables", "configure_network or administer_system"),
)


def refuse(plan: Plan, clause: Clause, path: str) -> None:
    """Raises BackendError where ``path`` cannot, or must not, be writable on this host."""
    _refuse_kernel_files(plan, clause, path)
    _refuse_code(plan, clause, path)


def _refuse_kernel_files(plan: Plan, clause: Clause, path: str) -> None:
    """ReadWritePaths= opens nothing of what ProtectKernelTunables= and ProtectControlGroups= close."""
    for tree, key, privileges in _KERNEL_TREES:
        if within(path, tree) and plan.text.values(key) != ["no"]:
            raise BackendError(
                f"'{path}' is among the kernel's own files, which {key}= closes ({clause.id}): grant {privileges} "
                "under identity.privileges, or leave it out."
            )


def _refuse_code(plan: Plan, clause: Clause, path: str) -> None:
    """What the policy cannot know by itself: on this host the path is another's, or holds everybody's libraries."""
    tree = next((tree for tree in libraries_of(plan) if within(path, tree)), "")
    if tree:
        raise BackendError(
            f"'{path}' is code that every program maps ({clause.id}): write somewhere else than below {tree}."
        )
    told = plain(clause.path.on(OS.LINUX) or "") if isinstance(clause, Write) else path
    for kind in (Execute, Spawn):
        for run in plan.manifest.of(kind):
            where = run.path.on(OS.LINUX)
            if where is None or run.path.glob:
                continue
            program, spelt = plan.host.real(where), plain(where)
            meets = within(program, path) or within(path, program)
            if meets and not (within(spelt, told) or within(told, spelt)):
                raise BackendError(
                    f"'{told}' is '{path}' on this host, and {run.id} runs programs from it ({clause.id}): write "
                    "somewhere else."
                )


def stays_closed(plan: Plan, path: str) -> list[str]:
    """Trees inside of a writable one that stay read-only."""
    inside = [tree for tree in libraries_of(plan) if below(tree, path)]
    inside += [
        tree for tree, key, _unused in _KERNEL_TREES if below(tree, path) and plan.text.values(key) != ["no"]
    ]
    return [f"{', '.join(inside)} in it stay read-only"] if inside else []


def libraries_of(plan: Plan) -> tuple[str, ...]:
    return LIBRARIES if plan.host.facts.get("merged_usr") else (*LIBRARIES, *LIBRARIES_UNMERGED)
