# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import bound
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import (
    Options,
    PlannedHost,
    Version,
    make,
)

PLAN = make(
    rollout="redis+nginx-e0001",
    epoch=1,
    policy="redis+nginx",
    created="",
    hosts=[
        PlannedHost("a", fingerprint="f", to_digest="n", policy="nginx"),
        PlannedHost("a", fingerprint="f", to_digest="r", policy="redis"),
        PlannedHost("b", policy="nginx", reachable=False),
    ],
    options=Options(),
    versions=[Version("redis", "1.0.0", "of-redis"), Version("nginx", "1.0.0", "of-nginx")],
)


def test_orders_are_those_of_the_plan_in_its_order() -> None:
    assert bound.orders(PLAN, ["a"]) == {
        "a": {
            "redis": {"digest": "r", "manifest": "of-redis", "fingerprint": "f"},
            "nginx": {"digest": "n", "manifest": "of-nginx", "fingerprint": "f"},
        }
    }
    assert list(bound.orders(PLAN, ["a"])["a"]) == ["redis", "nginx"]
    assert bound.orders(PLAN, ["b", "stranger"]) == {
        "b": {"nginx": {"digest": "", "manifest": "of-nginx", "fingerprint": ""}},
        "stranger": {},
    }


def test_what_people_agreed_to_gives_no_other_generation() -> None:
    agreed = replace(PLAN, options=Options(approvals=1, approvers="x"))
    assert bound.orders(agreed, ["a"])["a"]["nginx"]["fingerprint"] == ""
    assert bound.orders(agreed, ["b"])["b"]["nginx"]["agreed"]


def test_another_policy_than_planned() -> None:
    def found(digest: str) -> list[Any]:
        return [SimpleNamespace(policy="nginx", version="1.1.0", digest=digest)]

    bound.refuse_other(PLAN, found("of-nginx"))
    with pytest.raises(
        RolloutError, match="Policy 'nginx' 1.1.0 is not what 'redis.nginx-e0001' was planned"
    ):
        bound.refuse_other(PLAN, found("edited"))


@pytest.mark.parametrize(
    ("names", "all_of_it", "part"),
    [
        (("redis", "nginx"), True, True),
        (("nginx", "redis"), True, True),
        (("nginx",), False, True),
        (("apache",), False, False),
        (("nginx", "redis", "apache"), False, False),
    ],
)
def test_whose_rollout_it_is(names: tuple[str, ...], all_of_it: bool, part: bool) -> None:
    for some, fine in ((False, all_of_it), (True, part)):
        if fine:
            bound.refuse_names(PLAN, names, some)
            continue
        with pytest.raises(RolloutError, match="is a rollout of 'redis' and 'nginx', and ") as caught:
            bound.refuse_names(PLAN, names, some)
        assert caught.value.help_text == "Write -e policy=redis,nginx."
