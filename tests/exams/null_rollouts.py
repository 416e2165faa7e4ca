# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exam: rollouts of policies that change nothing, with a look after every poll, raise no more false alarms than was
promised; rollouts of a policy that denies something new are stopped, and where.

The telemetry is simulated, the test is the gate's own. Every rollout has several kinds of denials at rates of its own,
which are the same before and after the change.
"""

from __future__ import annotations

import math
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import exam

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import counts  # noqa: E402

ROLLOUTS = int(os.environ.get("ROLLOUTS", "10000"))
SEED = int(os.environ.get("SEED", "1"))
ALPHAS = (0.05, 0.01)
EXPECTED = 0.5
POLL, POLLS = 60.0, 10
# (name, hosts that changed, hosts to compare with): the last wave has nobody left to compare with.
WAVES = (("pilot", 1, 1), ("canary", 2, 2), ("wave 1", 5, 5), ("wave 2", 14, 14), ("wave 3", 14, 0))


def events(draw: random.Random, hosts: int, chances: dict[str, float]) -> dict[str, int]:
    """Signature -> on how many of ``hosts`` it was seen in one poll."""
    found = {}
    for name, chance in chances.items():
        if number := sum(draw.random() < chance for _host in range(hosts)):
            found[name] = number
    return found


def rates(draw: random.Random) -> dict[str, float]:
    """Denials per host and hour by signature. Where nobody is left to compare with, all together are at most what the
    plan says; where somebody is, they may be as many as they like."""
    kinds = draw.randrange(1, 6)
    if draw.random() < 0.5:
        return {f"s{number}": EXPECTED / kinds for number in range(kinds)}
    return {f"s{number}": 10 ** draw.uniform(-1, 1.7) for number in range(kinds)}


def rollout(draw: random.Random, usual: dict[str, float], more: dict[str, float]) -> tuple[float, str]:
    """(largest e-value after any poll, the wave in which it first crossed the line of the smallest alpha)."""
    process, peak, crossed = counts.EProcess(EXPECTED), 0.0, ""
    # Above what was agreed on, the last wave would be no null: there the comparison is left out.
    comparable = sum(usual.values()) > EXPECTED * 1.001
    before = {name: 1 - math.exp(-rate * POLL / counts.HOUR) for name, rate in usual.items()}
    after = {**before, **{name: 1 - math.exp(-rate * POLL / counts.HOUR) for name, rate in more.items()}}
    for name, hosts, base in WAVES:
        if comparable and not base:
            break
        for _poll in range(POLLS):
            seen = counts.Interval(
                POLL * hosts, POLL * base, events(draw, hosts, after), events(draw, base, before)
            )
            peak = max(peak, process.add(seen))
        if not crossed and peak >= 1 / min(ALPHAS):
            crossed = name
    return peak, crossed


def main() -> None:
    draw = random.Random(SEED)
    peaks = [rollout(draw, rates(draw), {})[0] for _number in range(ROLLOUTS)]
    alarms = {alpha: sum(peak >= 1 / alpha for peak in peaks) for alpha in ALPHAS}
    shortfalls = [
        f"{count} false alarms in {ROLLOUTS} rollouts are more than {alpha:.0%}"
        for alpha, count in alarms.items()
        if count > alpha * ROLLOUTS
    ]
    # A policy that breaks something is denied over and over: once a minute on every host.
    bad = max(20, ROLLOUTS // 50)
    waves = [rollout(draw, rates(draw), {"new": 60.0})[1] for _number in range(bad)]
    early = sum(wave in ("pilot", "canary") for wave in waves)
    if early < bad:
        shortfalls.append(f"{bad - early} of {bad} policies that deny something new got beyond the canary")
    figures = {
        "null_rollouts": ROLLOUTS,
        "looks": ROLLOUTS * POLLS * len(WAVES),
        **{f"false_alarms_at_{alpha:g}": alarms[alpha] for alpha in ALPHAS},
        "bad": bad,
        "stopped_at_pilot": waves.count("pilot"),
        "stopped_at_canary": waves.count("canary"),
    }
    exam.end("null-rollouts", figures, shortfalls)


if __name__ == "__main__":
    main()
