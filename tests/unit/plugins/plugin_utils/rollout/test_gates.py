# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.gates import (
    CHECKS,
    Observation,
    judge,
    judge_host,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.outside import Answer
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.watch import Verdict

GOOD = Observation(
    host="h1",
    applied="changed",
    digest="new",
    wanted="new",
    service="active",
    health=(("health[0]", ""),),
    restarts=0,
    tried=9,
    answered=5,
)


def test_a_good_host_passes_every_check() -> None:
    assert [(f.check, f.good) for f in judge_host(GOOD)] == [(name, True) for name in CHECKS]


@pytest.mark.parametrize(
    ("change", "outcome", "reason"),
    [
        ({}, "pass", "1 of 1 hosts are good."),
        ({"applied": "unchanged"}, "pass", "1 of 1 hosts are good."),
        ({"applied": "failed", "detail": "no space"}, "abort", "h1: apply: failed (no space)"),
        ({"applied": "reverted"}, "abort", "h1: apply: reverted"),
        ({"applied": "refused"}, "abort", "h1: apply: refused"),
        ({"applied": "unreachable"}, "abort", "Failed hosts: 1, allowed: 0."),
        ({"digest": "old"}, "abort", "h1: active generation 'old', not 'new'"),
        ({"service": "failed"}, "abort", "h1: service is 'failed'"),
        ({"service": "activating"}, "abort", "h1: service is 'activating'"),
        ({"restarts": 3}, "abort", "h1: 3 restarts since the apply"),
        ({"health": (("health[0]", "status 502, not 200"),)}, "abort", "health[0]: status 502, not 200"),
        ({"failures": ("must_deny[0]: allowed",)}, "abort", "h1: proof: must_deny[0]: allowed"),
        ({"failures": ("x",), "tried": None}, "abort", "h1: proof: x"),
        ({"failures": ("a", "b", "c", "d", "e")}, "abort", "proof: a; b; c (and 2 more)"),
        (
            {"unsure": ("read /x: no control",), "answered": 0},
            "inconclusive",
            "h1: unproven: read /x: no control",
        ),
        ({"unsure": ("read /x: no control",)}, "pass", "1 of 1 hosts are good. 1 probes could not tell."),
        ({"opened": "open for debugging (ptrace)"}, "inconclusive", "h1: is open for debugging (ptrace)"),
        ({"opened": "open", "failures": ("x",)}, "inconclusive", "the probes ran in a sandbox that is open"),
        ({"service": "inactive"}, "abort", "h1: service is 'inactive'"),
        ({"service": "inactive", "ran_before": True}, "abort", "h1: service is 'inactive'"),
        (
            {"service": "inactive", "ran_before": False},
            "inconclusive",
            "did not run before and does not run now",
        ),
        ({"service": "failed", "ran_before": False}, "abort", "h1: service is 'failed'"),
        ({"applied": None}, "inconclusive", "no outcome of the apply is in the journal"),
        ({"digest": None}, "inconclusive", "the active generation could not be read"),
        ({"wanted": ""}, "inconclusive", "the active generation could not be read"),
        ({"service": None}, "inconclusive", "the state of the service could not be read"),
        ({"restarts": None}, "inconclusive", "the restart counter could not be read"),
        ({"health": None}, "inconclusive", "the health checks did not run"),
        ({"tried": None}, "inconclusive", "the probes did not run"),
        ({"health": (), "tried": 0}, "inconclusive", "no health check and no probe exercised"),
        ({"service": "failed", "tried": None}, "abort", "service is 'failed'"),
    ],
)
def test_one_host(change: dict[str, object], outcome: str, reason: str) -> None:
    gate = judge("wave 1", [replace(GOOD, **change)])  # type: ignore[arg-type]
    assert gate.outcome == outcome
    assert reason in gate.detail


BAD = replace(GOOD, host="bad", restarts=2)
GONE = Observation(host="gone", applied="unreachable")
BLIND = replace(GOOD, host="blind", tried=None)


@pytest.mark.parametrize(
    ("wave", "hosts", "before", "budget", "outcome"),
    [
        ("wave 1", [GOOD, BAD], 0, 1, "pass"),
        ("wave 1", [GOOD, BAD], 1, 1, "abort"),
        ("wave 1", [GOOD, GONE], 0, 1, "pass"),
        ("wave 1", [GOOD, GONE], 0, 0, "abort"),
        ("wave 1", [GOOD, GONE, BAD], 0, 1, "abort"),
        ("wave 1", [GOOD], 2, 1, "abort"),
        ("wave 1", [GOOD, BLIND], 0, 5, "inconclusive"),
        ("wave 1", [GONE], 0, 5, "inconclusive"),
        ("wave 1", [], 0, 5, "inconclusive"),
        ("pilot", [GOOD, BAD], 0, 5, "abort"),
        ("canary", [BAD], 0, 5, "abort"),
        ("pilot", [GOOD, GONE], 0, 5, "pass"),
        ("pilot", [GONE], 0, 5, "inconclusive"),
    ],
)
def test_budget_over_all_waves(
    wave: str, hosts: list[Observation], before: int, budget: int, outcome: str
) -> None:
    assert judge(wave, hosts, failed_before=before, max_failed=budget).outcome == outcome


def test_a_host_whose_policies_all_fail_is_one_failed_host() -> None:
    failed = [replace(GOOD, host=f"h2 {one}", name="h2", applied="unreachable") for one in ("nginx", "redis")]
    seen = [replace(GOOD, host="h1 nginx", name="h1"), *failed]
    assert judge("wave 1", seen, max_failed=1).outcome == "pass"
    told = judge("wave 1", seen, failed_before=1, max_failed=1)
    assert (told.outcome, told.detail[:31]) == ("abort", "Failed hosts: 2, allowed: 1. h2")


def test_pause_only_holds_back_what_passes() -> None:
    assert judge("pilot", [GOOD], pause="Asked.").outcome == "pause"
    assert judge("pilot", [BAD], pause="Asked.").outcome == "abort"
    assert judge("pilot", [BLIND], pause="Asked.").outcome == "inconclusive"


def test_the_exposure_is_shown() -> None:
    gate = judge("wave 1", [GOOD, BLIND], max_failed=0)
    assert gate.exposure == {"hosts": 2, "good": 1, "health": 2, "probes": 9, "unsure": 0}


def test_an_abort_from_outside_comes_first() -> None:
    gate = judge("wave 1", [GOOD], abort="abort by alice: the shop is down.")
    assert (gate.outcome, gate.detail) == ("abort", "abort by alice: the shop is down.")


def answers(*outcomes: str) -> Callable[[], list[Answer]]:
    return lambda: [Answer(outcome, f"url http://x: {outcome}") for outcome in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "outcome", "detail"),
    [
        (("pass", "abort", "inconclusive"), "abort", "Url http://x: abort."),
        (("pass", "pause", "inconclusive"), "inconclusive", "Url http://x: inconclusive."),
        (("pass", "pause"), "pause", "Url http://x: pause."),
        (("pass",), "pass", "1 of 1 hosts are good. Url http://x: pass."),
    ],
)
def test_gates_of_ones_own(outcomes: tuple[str, ...], outcome: str, detail: str) -> None:
    gate = judge("wave 1", [GOOD], ask=answers(*outcomes))
    assert (gate.outcome, gate.detail) == (outcome, detail)
    assert gate.exposure["asked"] == len(outcomes)


def test_gates_of_ones_own_are_not_asked_about_what_has_failed() -> None:
    def never() -> list[Answer]:
        raise AssertionError("was asked")

    assert judge("wave 1", [BAD], ask=never).outcome == "abort"
    assert judge("wave 1", [BLIND], ask=never).outcome == "inconclusive"


@pytest.mark.parametrize(
    ("watched", "outcome", "detail"),
    [
        (Verdict(looks=3), "pass", "1 of 1 hosts are good."),
        (Verdict(), "inconclusive", "Nobody looked at the hosts while they soaked."),
        (Verdict(looks=3, sick={"h1": "health[0]: 502"}), "abort", "h1: while it soaked: health[0]: 502."),
        (
            Verdict(looks=3, value=120, line=100, detail="denials: e-value 120"),
            "abort",
            "Denials: e-value 120.",
        ),
        (
            Verdict(looks=3, value=1, line=100, detail="denials: e-value 1"),
            "pass",
            "1 of 1 hosts are good. Denials: e-value 1.",
        ),
        (Verdict(looks=3, line=100, blind=1), "inconclusive", "The denials of 1 hosts could not be read."),
    ],
)
def test_what_was_seen_while_it_soaked(watched: Verdict, outcome: str, detail: str) -> None:
    gate = judge("wave 1", [GOOD], watched=watched, looks=True)
    assert gate.outcome == outcome
    assert gate.detail.endswith(detail)
    assert gate.exposure["looks"] == watched.looks
    assert ("e_value" in gate.exposure) is (watched.line > 0)
