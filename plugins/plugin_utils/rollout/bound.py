# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What binds an apply to its plan: the policy that was planned, and the generation of each host that it gave.

A host may be of another kind by now (an upgrade, another kernel): the same policy then gives another generation, which
is said and goes on. Where people agreed to the plan it does not: they agreed to its generations.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..policy.model import Manifest
from .errors import RolloutError
from .plan import Plan

Orders = dict[str, dict[str, dict[str, str]]]


def orders(plan: Plan, names: Iterable[str]) -> Orders:
    """Host -> policy -> {"digest", "manifest", "fingerprint"}, in the order of the policies: what an apply may bring.

    With ``agreed`` where people had to agree: then nothing may come that they did not see.

    ``digest`` is empty where the host was not read, ``manifest`` where nobody knows it (see ``rebuild``).
    ``fingerprint``: only with another one than this may another generation come out; empty where none may.
    """
    manifests = {version.policy: version.digest for version in plan.versions}
    return {
        name: {
            one.policy: {
                "digest": one.to_digest,
                "manifest": manifests.get(one.policy, ""),
                "fingerprint": "" if plan.options.approvals else one.fingerprint,
                **({"agreed": "yes"} if plan.options.approvals else {}),
            }
            for one in plan.of(name)
        }
        for name in names
    }


def refuse_names(plan: Plan, names: Iterable[str], part: bool = False) -> None:
    """Raises RolloutError where other policies are named than those of the plan. ``part``: some of them are enough, for
    what only reads or stops."""
    named, own = set(names), set(plan.policies)
    if named == own or (part and named <= own):
        return
    told = " and ".join(f"'{name}'" for name in plan.policies)
    raise RolloutError(
        f"'{plan.rollout}' is a rollout of {told}, and {', '.join(sorted(named))} was named: nothing was changed.",
        f"Write -e policy={','.join(plan.policies)}.",
    )


def refuse_other(plan: Plan, found: Iterable[Manifest]) -> None:
    """Raises RolloutError where a policy is not as it was when the rollout was planned."""
    planned = {version.policy: version for version in plan.versions}
    for manifest in found:
        wanted = planned.get(manifest.policy)
        if wanted and wanted.digest and wanted.digest != manifest.digest:
            raise RolloutError(
                f"Policy '{manifest.policy}' {manifest.version} is not what '{plan.rollout}' was planned with "
                f"({wanted.version}, digest {wanted.digest[:12]}): nothing was changed.",
                "Give the policy as it was (policies_dirs, mode), or plan a new rollout.",
            )
