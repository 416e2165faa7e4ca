# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import resume, takes
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import (
    Options,
    PlannedHost,
    Version,
    make,
)

PLAN = make(
    rollout="nginx+redis-e0003",
    epoch=3,
    policy="nginx+redis",
    created="",
    hosts=[
        PlannedHost(name, "medium", "x", "old", "new", policy=policy)
        for name in ("a", "b", "c")
        for policy in ("nginx", "redis")
    ],
    options=Options(waves=(100,)),
    versions=[Version("nginx"), Version("redis")],
)


class Template(dict[str, Any]):
    """Variables of a host whose template comes to nothing."""

    def get(self, *_key: Any) -> Any:
        raise AnsibleError("'nope' is undefined")


HOSTVARS: Mapping[str, Any] = {"a": {"bulkhead_policies": ["redis"]}, "b": {}, "c": Template()}


@pytest.mark.parametrize(
    ("listed", "wants"), [(None, True), (["nginx"], True), (["redis"], False), ([], False), (5, True)]
)
def test_what_a_host_takes(listed: Any, wants: bool) -> None:
    assert takes.wants({"bulkhead_policies": listed}, "nginx") is wants


def test_what_hosts_have_dropped() -> None:
    assert takes.dropped(PLAN, ["a", "b", "c", "gone"], HOSTVARS) == {("a", "nginx")}
    assert takes.dropped(PLAN, ["b", "c"], HOSTVARS) == frozenset()


def test_who_catches_up_does_without_what_it_has_dropped() -> None:
    left = takes.narrowed(PLAN, resume.CATCH_UP, ["a"], HOSTVARS)
    assert [one.policy for one in left.of("a")] == ["redis"]
    assert left.of("b") == PLAN.of("b")
    assert takes.narrowed(PLAN, "pilot", ["a"], HOSTVARS) is PLAN
