# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which policies a host takes: all of a rollout, or those that its variable ``bulkhead_policies`` lists.

It is of the inventory, and may change after the plan. What has to go back never depends on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from . import uniform
from .plan import Plan
from .resume import catches_up

Pairs = frozenset[tuple[str, str]]


def wants(variables: Mapping[str, Any], policy: str) -> bool:
    wanted = uniform.value(variables, "bulkhead_policies")
    # What is no list, or cannot be worked out, is told when it is planned.
    return wanted is None or not isinstance(wanted, Collection) or policy in wanted


def dropped(plan: Plan, names: Iterable[str], hostvars: Any) -> Pairs:
    """(host, policy) of what was planned for those hosts and is not listed any more."""
    return frozenset(
        (name, one.policy) for name in names for one in plan.of(name) if _drops(hostvars, name, one.policy)
    )


def narrowed(plan: Plan, wave: str, names: Iterable[str], hostvars: Any) -> Plan:
    """The plan without what hosts that catch up have dropped: that is no fault, and keeps no other policy from them.
    In a wave of the plan it is one: people saw the plan."""
    if not catches_up(plan, wave):
        return plan
    gone = dropped(plan, names, hostvars)
    return replace(plan, hosts=tuple(one for one in plan.hosts if (one.name, one.policy) not in gone))


def _drops(hostvars: Any, name: str, policy: str) -> bool:
    return name in hostvars and not wants(hostvars[name], policy)
