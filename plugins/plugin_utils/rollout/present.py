# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of a plan a play finds. Its batches are counted, not named: one host that it does not find moves hosts
of later waves forward, which nobody judged and nobody approved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ansible.inventory.manager import split_host_pattern

from . import state
from .errors import RolloutError
from .journal import Record
from .plan import Plan, Wave

GONE = "it is not in the inventory any more"


def refuse_patterns(names: Iterable[str]) -> None:
    """Raises RolloutError for names that a play would read as several hosts, or as an exception from them."""
    wrong = [name for name in names if split_host_pattern(name) != [name] or name[:1] in ("!", "&")]
    if wrong:
        raise RolloutError(
            f"Nothing was changed. A play cannot name these hosts: {', '.join(map(repr, wrong))}.",
            "Rename them in the inventory: without spaces, commas and colons, and with a letter or a digit in front.",
        )


def batches(waves: Iterable[Wave], there: Collection[str]) -> tuple[list[str], list[int]]:
    """(order, serial) over the hosts that are ``there``; a wave of which none is there is no batch."""
    parts = [[name for name in wave.hosts if name in there] for wave in waves]
    return [name for part in parts for name in part], [len(part) for part in parts if part] or [1]


def stray(plan: Plan, wave: str, batch: Sequence[str]) -> str:
    """What is wrong with a batch that is more than its wave, or nothing. Waves of hosts that catch up are no plan's."""
    own = plan.wave(wave).hosts if wave in plan.names else plan.order
    other = [name for name in batch if name not in set(own)]
    return f"The play has hosts at work that are not of {wave}: {', '.join(other[:8])}." if other else ""


def gone(plan: Plan, wave: str, there: Collection[str], epoch: int) -> list[Record]:
    """For each host of a wave that no play finds its outcome: nobody could reach it."""
    if wave not in plan.names:
        return []
    missing = [name for name in plan.wave(wave).hosts if name not in there]
    return [
        Record(
            "apply",
            "unreachable",
            plan.rollout,
            epoch,
            wave,
            one.name,
            one.from_digest,
            one.to_digest,
            one.policy,
            GONE,
            {state.TOUCHED: False},
        )
        for name in missing
        for one in plan.of(name)
    ]


def empty(plan: Plan, wave: str, there: Collection[str], epoch: int) -> list[Record]:
    """The records of a wave of which no host is there: nothing begins, and a person may vouch for it."""
    if any(name in there for name in plan.wave(wave).hosts):
        return []
    detail = f"No host of {wave} is in the inventory. To go on without them, promote."
    return [
        *gone(plan, wave, there, epoch),
        Record("gate", "inconclusive", plan.rollout, epoch, wave, detail=detail),
    ]
