# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a rollout is to go: where the waves are cut, when it waits, and what its gates look at."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from . import gate_options, windows
from .errors import RolloutError

DEFAULT_WAVES: tuple[int | str, ...] = (25, 100)
SHARE = re.compile(r"(?P<number>\d{1,9})\s*(?P<unit>%|hosts?)?|group\s+(?P<group>\S.*)")
# Waves that a plan may have besides the numbered ones.
NAMED_WAVES = ("pilot", "canary", "unchanged")


@dataclass(frozen=True)
class Options:
    """``soak``, ``poll``, ``health_timeout``: seconds. ``max_failed`` counts over all waves, ``breaker`` is the
    percentage of a wave that may be bad at once. ``alpha``: probability of a false alarm by denials over the whole
    rollout; ``expected``: denials that a host may have in an hour where there is nothing to compare with. ``lease``:
    seconds that a change soaks until a look renews it, 0 for none; ``lapse``: what the host does when nobody does."""

    pilot: int = 1
    waves: tuple[int | str, ...] = DEFAULT_WAVES
    max_failed: int = 0
    soak: int = 10
    pause_after: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    timezone: str = "UTC"
    poll: int = 0
    health_timeout: int = 0
    health_retries: int = 0
    breaker: int = 50
    lease: int = 0
    lapse: str = "revert"
    denials: bool = False
    alpha: float = 0.01
    expected: float = 0.1
    gates: tuple[dict[str, Any], ...] = ()
    approvals: int = 0
    approvers: str = ""  # file that says who may approve
    approvers_digest: str = ""  # what it and its allowed signers were: see approval.digest

    def __hash__(self) -> int:
        return hash(json.dumps(asdict(self), sort_keys=True))


MOST_LOOKS = 100_000  # at one wave
# A lease survives so many looks that did not come through.
LOOKS_IN_A_LEASE = 3
LAPSES = ("revert", "hold")
_LATER = frozenset({"approvers_digest"})
_AT_LEAST_ZERO = {
    "pilot": "0 or more",
    "max_failed": "0 or more",
    "soak": "seconds, 0 or more",
    "poll": "seconds, 0 or more",
    "health_timeout": "seconds, 0 or more",
    "health_retries": "0 or more",
    "lease": "seconds, 0 for none",
    "approvals": "0 or more",
}


def faults(options: Options, groups: Collection[str]) -> Iterator[str]:
    """One sentence for each option that makes no sense, with what to write instead."""
    for name, wanted in _AT_LEAST_ZERO.items():
        if getattr(options, name) < 0:
            yield f"rollout_{name} is '{getattr(options, name)}'; write {wanted}."
    if not 1 <= options.breaker <= 100:
        yield f"rollout_breaker is '{options.breaker}'; write a percentage, 1 to 100."
    if not 0 < options.alpha < 1:
        yield f"rollout_alpha is '{options.alpha}'; write a probability, such as 0.01."
    if not 0 < options.expected < math.inf:
        yield f"rollout_expected_denials is '{options.expected}'; write denials per host and hour, above 0."
    if options.denials and not options.poll:
        yield "rollout_denials needs rollout_poll: write the seconds between two looks, such as 60."
    if options.lease > 0 and not options.poll:
        yield "rollout_lease needs rollout_poll: each look renews it."
    if options.poll > 0 and options.soak > MOST_LOOKS * options.poll:
        yield f"rollout_poll is '{options.poll}'; write more, so that a wave is looked at {MOST_LOOKS} times at most."
    least = LOOKS_IN_A_LEASE * options.poll
    if options.poll and 0 < options.lease < least:
        yield f"rollout_lease is '{options.lease}'; write {least} or more, so that one look may fail."
    if options.lapse not in LAPSES:
        yield f"rollout_lapse is '{options.lapse}'; write one of {', '.join(LAPSES)}."
    if options.approvals and not options.approvers:
        yield "rollout_approvals needs rollout_approvers: write the path of the file that says who may approve."
    yield from wave_faults("rollout_pause_after", options.pause_after, options)
    for item in options.waves:
        yield from _share_faults(item, groups)
    for gate in options.gates:
        yield from gate_options.faults(gate)
    yield from windows.faults(options.windows, options.timezone)


def wave_faults(name: str, waves: Iterable[str], options: Options) -> Iterator[str]:
    """Of names of waves that no plan with these options can have. A wave more than there are shares: of the rest."""
    most = len(options.waves) + 1
    possible = (*NAMED_WAVES, *(f"wave {number}" for number in range(1, most + 1)))
    for wave in waves:
        if wave not in possible:
            yield f"{name} has '{wave}'; write {', '.join(NAMED_WAVES)} or wave 1 to wave {most}."


def to_data(options: Options) -> dict[str, Any]:
    """For the plan. What came later stands there only where it says something, so that the hash of a plan that was
    written before stays what it was."""
    data = asdict(options)
    return {key: value for key, value in data.items() if value or key not in _LATER}


def from_data(data: Mapping[str, Any]) -> Options:
    """Back from the plan's JSON data. Raises RolloutError where a name is unknown."""
    known = Options.__dataclass_fields__
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise RolloutError(f"The plan has options that this version does not know: {', '.join(unknown)}.")
    tuples = ("waves", "pause_after", "windows", "gates")
    given: dict[str, Any] = {key: tuple(value) if key in tuples else value for key, value in data.items()}
    return Options(**given)


def _share_faults(item: object, groups: Collection[str]) -> Iterator[str]:
    match = SHARE.fullmatch(str(item).strip())
    if match is None:
        fine = False
    elif match["group"]:
        if match["group"] not in groups:
            yield f"rollout_waves has '{item}', and the inventory has no group '{match['group']}'."
        return
    else:
        number, unit = int(match["number"]), match["unit"] or "%"
        fine = number > 0 and (unit != "%" or number <= 100)
    if not fine:
        yield f"rollout_waves has '{item}'; write a percentage (25), a count ('5 hosts') or a group ('group web')."
