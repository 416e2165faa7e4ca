# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the waves that exist to find faults have shown the change on every kind of system that comes after them.

Later waves are not probed, because one changed host of each kind was: a kind whose only one was away has shown nothing.
"""

from __future__ import annotations

from collections.abc import Iterable

from . import state
from .gates import PROVING
from .journal import Record
from .plan import Plan
from .review import named


def unproven(plan: Plan, records: Iterable[Record], wave: str) -> str:
    """A sentence about hosts of later waves of whose kind no host of pilot and canary has it; "" where there are none,
    or where ``wave`` is not the last of those two."""
    waves = [one.name for one in plan.waves]
    if wave != next((name for name in reversed(waves) if name in PROVING), None):
        return ""
    hosts = state.hosts(plan, records)
    kinds = {(one.name, one.policy): (one.policy, one.fingerprint) for one in plan.hosts}
    proving = [one for one in hosts if one.wave in PROVING]
    shown = {kinds[one.host, one.policy] for one in proving if one.apply in state.HELD}
    # Of each kind that changes there is one in these waves; it is missing only where that one did not get so far.
    open_ = {kinds[one.host, one.policy] for one in proving} - shown
    left = dict.fromkeys(
        one.host
        for one in hosts
        if one.wave not in (*PROVING, "unchanged") and kinds[one.host, one.policy] in open_
    )
    if not left:
        return ""
    away = dict.fromkeys(one.host for one in proving if kinds[one.host, one.policy] in open_)
    return (
        f"No host has shown it on the kind of system of {named(list(left))}: {named(list(away))} did not change. "
        "Resume when it answers, or promote."
    )
