# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether changed hosts are denied more than others, as a test that may be looked at after every poll.

Denials are rare counts. Given how many there were in an interval, and how long how many hosts of both sides were
watched, each of them is on the changed side with a known probability if the change makes no difference. The product of
the likelihood ratios for "``r`` times as often" against that, mixed over several ``r`` above 1, is an e-process: under
the null (as often, or less often) the probability that it *ever* exceeds 1/alpha is at most alpha (Ville's inequality),
however often one looks. The idea of an anytime-valid test of counts is that of Lindon and Malek, arXiv 2011.03567;
mixing over ratios above 1 makes it one-sided and lets the exposure differ from interval to interval. Where no other
host can be compared with, the changed side is held against a rate that was agreed on: a Poisson likelihood ratio, in
the same product.

Half of the bet goes to all denials together, half to single signatures in the order of their first appearance, the k-th
with weight 1/(k(k+1)): a new kind of denial is not drowned by the usual ones. Which side it appeared on first has no
part in its number, so that the sum is an e-process too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

RATIOS = (2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
HOUR = 3600.0
_LARGEST = 700.0  # of what math.exp takes


@dataclass(frozen=True)
class Interval:
    """Between two looks: seconds watched, summed over hosts, and events by signature, on both sides. An event is one
    signature on one host, however often it was repeated: repeats of one attempt are not independent."""

    seconds: float
    base_seconds: float = 0.0
    events: Mapping[str, int] = field(default_factory=dict)
    base_events: Mapping[str, int] = field(default_factory=dict)


@dataclass
class EProcess:
    """``expected``: denials per host and hour where there is nothing to compare with."""

    expected: float
    seconds: float = 0.0
    events: int = 0
    base_seconds: float = 0.0
    base_events: int = 0
    _pool: list[float] = field(default_factory=lambda: [0.0] * len(RATIOS))
    _single: dict[str, list[float]] = field(default_factory=dict)

    def add(self, interval: Interval) -> float:
        """Take one interval in; the e-value after it."""
        count, base = sum(interval.events.values()), sum(interval.base_events.values())
        if interval.seconds > 0 and interval.base_seconds > 0:
            for name in sorted({*interval.events, *interval.base_events}):
                own = self._single.setdefault(name, [0.0] * len(RATIOS))
                split(own, interval, interval.events.get(name, 0), interval.base_events.get(name, 0))
            split(self._pool, interval, count, base)
        elif interval.seconds > 0:
            mean = self.expected * interval.seconds / HOUR
            for number, ratio in enumerate(RATIOS):
                self._pool[number] += count * math.log(ratio) - (ratio - 1) * mean
        self.seconds += interval.seconds
        self.events += count
        self.base_seconds += interval.base_seconds
        self.base_events += base
        return self.value

    @property
    def value(self) -> float:
        single, left = 0.0, 1.0
        for number, logs in enumerate(self._single.values(), start=1):
            weight = 1.0 / (number * (number + 1))
            single += weight * mixed(logs)
            left -= weight
        return 0.5 * mixed(self._pool) + 0.5 * (single + left)

    def worst(self, most: int = 3) -> list[str]:
        """The signatures that speak loudest."""
        ranked = sorted(self._single, key=lambda name: -mixed(self._single[name]))
        return ranked[:most]

    def bound(self) -> float:
        """Denials per host and hour that could go unseen: where none were seen the rate is below this with 95 %."""
        return math.inf if self.seconds <= 0 else -math.log(0.05) / (self.seconds / HOUR)


def split(logs: list[float], interval: Interval, count: int, base: int) -> None:
    """Add the log likelihood ratios of ``count`` events on the changed side and ``base`` on the other."""
    if count or base:
        total = interval.seconds + interval.base_seconds
        for number, ratio in enumerate(RATIOS):
            against = ratio * interval.seconds + interval.base_seconds
            logs[number] += count * math.log(ratio * total / against) + base * math.log(total / against)


def mixed(logs: Iterable[float]) -> float:
    values = [math.exp(min(one, _LARGEST)) for one in logs]
    return sum(values) / len(values)
