# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts that have not changed yet a wave's hosts are compared with."""

from __future__ import annotations

from .plan import Plan


def pairs(plan: Plan, wave: str) -> dict[str, str]:
    """Host of ``wave`` -> a host of a later wave, each at most once, of the same kind of system where there is one."""
    names = [one.name for one in plan.waves]
    if wave not in names:
        return {}
    later = plan.waves[names.index(wave) + 1 :]
    free = [name for one in later if one.name != "unchanged" for name in one.hosts if _usable(plan, name)]
    kinds: dict[tuple[str, ...], list[str]] = {}
    for name in free:
        kinds.setdefault(_kind(plan, name), []).append(name)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in plan.wave(wave).hosts:
        for candidate in (*kinds.get(_kind(plan, name), ()), *free):
            if candidate not in taken:
                taken.add(candidate)
                found[name] = candidate
                break
    return found


def _usable(plan: Plan, name: str) -> bool:
    """Denials can be read only of a host that has a sandbox already."""
    return all(one.reachable and one.from_digest for one in plan.of(name))


def _kind(plan: Plan, name: str) -> tuple[str, ...]:
    return tuple(one.fingerprint for one in plan.of(name))
