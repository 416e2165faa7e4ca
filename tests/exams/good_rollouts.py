# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts of policies that break nothing, through plan, looks and gates as they are; only the hosts are simulated.

Hosts are as hosts are: they are denied things that they were denied before, now and then a health check fails once, one
of them is away for a look, some probes cannot tell. A rollout that is aborted over that is a false abort.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    gates,
    observe,
    plan,
    state,
    watch,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record

POLL, LOOKS, RETRIES = 60, 10, 2
ALPHA = 0.01
# Of one look at one host.
SICK_ONCE, AWAY_ONCE = 0.002, 0.001
BEGIN = "2030-01-01T00:00:00.000Z"


@dataclass
class Good:
    """One rollout. ``rates``: denials per host and look by signature, the same before and after the change."""

    draw: random.Random
    made: plan.Plan
    rates: Mapping[str, float]
    records: list[Record]

    def answer(self) -> dict[str, Any] | None:
        """One look at one host."""
        if self.draw.random() < AWAY_ONCE:
            return None
        sick = self.draw.random() < SICK_ONCE
        rows = [[name, None] for name, rate in self.rates.items() if self.draw.random() < rate]
        return {
            "active": "new",
            "health": [{"id": "health[0]", "ok": not sick, "detail": "status 502"}],
            "denials": {"rows": rows, "cursor": "c", "known": [], "unrecorded": 0},
        }

    def wave(self, wave: plan.Wave, after: list[str]) -> str:
        """The verdict over one wave, after all looks at it or as many as it took."""
        for name in wave.hosts:
            for outcome in (state.INTENT, "changed"):
                self.records.append(self.record("apply", outcome, wave.name, name))
        seen = watch.Verdict()
        for _look in range(LOOKS):
            answers = {name: self.answer() for name in wave.hosts}
            base = {name: self.answer() for name in after[: len(wave.hosts)]}
            told = watch.exposure(answers, base, POLL, BEGIN)
            self.records.append(replace(self.record("poll", "seen", wave.name), exposure=told))
            seen = watch.judge(self.made, self.records, wave.name)
            if gates.lost(self.made, self.records, wave.name, seen):
                break
        gate = gates.judge(
            wave.name,
            [self.observed(one) for one in state.hosts(self.made, self.records) if one.host in wave.hosts],
            max_failed=self.made.options.max_failed,
            watched=seen,
            looks=True,
        )
        self.records.append(self.record("gate", gate.outcome, wave.name))
        return gate.outcome

    def observed(self, one: state.HostState) -> gates.Observation:
        """As its gate sees it, some probes without an answer."""
        service = {"state": "active", "restarts": 0, "invocation": "i"}
        survey = {
            "active": "new",
            "service": service,
            "health": [{"id": "health[0]", "ok": True, "detail": ""}],
        }
        answered = self.draw.randint(1, 12)
        proof = {"tried": 12, "answered": answered, "failures": [], "unsure": ["no route"] * (12 - answered)}
        applied = {"changed": True, "application": "active", "service": service}
        return observe.observation(one, applied, {"survey": survey, "proof": proof})

    def record(self, phase: str, outcome: str, wave: str, host: str = "") -> Record:
        return Record(phase, outcome, self.made.rollout, 1, wave, host, "old", "new", "nginx", time=BEGIN)


def rollout(draw: random.Random, hosts: int) -> str:
    """pass, or the first verdict that is none."""
    kinds = draw.randrange(0, 6)
    # Denials a host and hour: from one in ten hours to one a minute.
    rates = {f"s{number}": min(1.0, 10 ** draw.uniform(-1, 1.78) * POLL / 3600) for number in range(kinds)}
    made = plan.make(
        rollout="nginx-e0001",
        epoch=1,
        policy="nginx",
        created=BEGIN,
        hosts=[
            plan.PlannedHost(f"h{n:04}", fingerprint=f"k{n % 3}", from_digest="old", to_digest="new", policy="nginx")
            for n in range(hosts)
        ],
        options=plan.Options(
            waves=(10, 25, 50), soak=POLL * LOOKS, poll=POLL, health_retries=RETRIES, denials=True, alpha=ALPHA,
            # With nobody left to compare with, what the fleet has usually stands for the others.
            expected=max(0.1, sum(rates.values()) * 3600 / POLL),
        ),
    )  # fmt: skip
    one = Good(draw, made, rates, [])
    left = list(made.order)
    for wave in made.waves:
        left = [name for name in left if name not in wave.hosts]
        verdict = one.wave(wave, left)
        if verdict != "pass":
            return verdict
    return "pass"


def verdicts(count: int, hosts: int, seed: int) -> Counter[str]:
    """How ``count`` good rollouts end."""
    draw = random.Random(seed)
    return Counter(rollout(draw, hosts) for _number in range(count))
