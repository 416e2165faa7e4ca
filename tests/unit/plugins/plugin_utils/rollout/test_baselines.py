# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a wave's hosts are compared with."""

from __future__ import annotations

from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import baselines, plan


def made(*hosts: plan.PlannedHost, **options: Any) -> plan.Plan:
    return plan.make(
        rollout="nginx-e0001",
        epoch=1,
        policy="nginx",
        created="2026-11-24T10:00:00Z",
        hosts=list(hosts),
        options=plan.Options(**options),
    )


def host(name: str, kind: str, was: str = "d0", reachable: bool = True) -> plan.PlannedHost:
    return plan.PlannedHost(name, "medium", kind, was, "d1", reachable=reachable)


def test_a_host_is_compared_with_one_of_its_kind_that_changes_later() -> None:
    fleet = made(*(host(name, "12") for name in "ab"), *(host(name, "13") for name in "cd"), waves=(100,))
    # Pilot is a, of kind 12; canary the first of kind 13.
    assert baselines.pairs(fleet, "pilot") == {"a": "b"}
    assert baselines.pairs(fleet, "canary") == {"c": "d"}


def test_another_kind_is_better_than_none_and_nobody_is_taken_twice() -> None:
    fleet = made(host("a", "12"), host("b", "13"), host("c", "13"), pilot=2, waves=(100,))
    assert baselines.pairs(fleet, "pilot") == {"a": "c"}


def test_who_has_no_sandbox_or_was_not_read_has_no_denials_to_compare() -> None:
    fleet = made(host("a", "12"), host("b", "12", was=""), host("c", "12", reachable=False), waves=(100,))
    assert baselines.pairs(fleet, "pilot") == {}


def test_the_last_wave_and_an_unknown_one_have_none() -> None:
    fleet = made(host("a", "12"), host("b", "12"), waves=(100,))
    assert baselines.pairs(fleet, fleet.waves[-1].name) == {}
    assert baselines.pairs(fleet, "catch up") == {}
