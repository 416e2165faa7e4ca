# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.manifest import digest
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS, Manifest, Waiver
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import knowledge, review
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import (
    Options,
    Plan,
    PlannedHost,
    make,
)

HOSTS = [
    PlannedHost("edge", "high", "x", "", "b" * 64, policy="nginx"),
    PlannedHost("web1", "low", "x", "b" * 64, "b" * 64, policy="nginx"),
    PlannedHost("web22", "low", "", "", "", reachable=False, policy="nginx"),
]
JOURNAL = Path("/srv/rollouts/nginx-e0003/journal.jsonl")


def planned(hosts: list[PlannedHost] = HOSTS, policy: str = "nginx", **fields: object) -> Plan:
    return make(
        rollout=f"{policy}-e0003",
        epoch=3,
        policy=policy,
        created="",
        hosts=hosts,
        options=Options(waves=(100,)),
        **fields,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def nginx() -> Manifest:
    return load_and_resolve("nginx", [], {}, date(2026, 11, 26))


def test_a_plan_by_waves_with_what_changes() -> None:
    assert review.lines(planned(), {"edge": ["/etc/a: +2 -0 lines"]}) == [
        "nginx-e0003: 3 hosts in 2 waves",
        "pilot: 1 host",
        "  edge   high      unconfined -> bbbbbbbbbbbb",
        "    /etc/a: +2 -0 lines",
        "wave 1: 2 hosts",
        "  web1   low       bbbbbbbbbbbb, to be put right",
        "  web22  low       could not be reached",
    ]


def test_several_policies_are_told_apart() -> None:
    hosts = [replace(HOSTS[0], policy=policy) for policy in ("redis", "nginx")]
    assert review.lines(planned(hosts, "nginx+redis"))[1:] == [
        "pilot: 1 host",
        "  edge nginx  high      unconfined -> bbbbbbbbbbbb",
        "  edge redis  high      unconfined -> bbbbbbbbbbbb",
    ]


def test_what_nobody_enforces_and_what_some_do_not() -> None:
    gaps = {
        ("edge", "nginx"): {"memory.limit": ["partial", "no cgroup"], "ipc.dbus": ["waived", ""]},
        ("web1", "nginx"): {"ipc.dbus": ["waived", ""]},
    }
    told = review.unenforced(["nginx"], gaps)
    expected = [
        "not enforced in full: ipc.dbus: no host (waived)",
        "not enforced in full: memory.limit: not edge (partial: no cgroup)",
    ]
    assert review.lines(planned(), None, told)[-2:] == expected
    approved = planned(unenforced=told)
    assert review.lines(approved)[-2:] == expected
    assert approved.digest != planned().digest


def test_what_a_change_widens(nginx: Manifest, tmp_path: Path) -> None:
    knowledge.remember(tmp_path, "old", nginx)
    wider = replace(
        nginx, version="9.0.0", waivers=(Waiver("memory.limit", OS.LINUX, "r", "o", "2027-01-01"),)
    )
    hosts = [
        PlannedHost("a", from_digest="old", to_digest="new", policy="nginx"),
        PlannedHost("b", from_digest="old", to_digest="new", policy="nginx"),
        PlannedHost("fresh", to_digest="new", policy="nginx"),
        PlannedHost("same", from_digest="new", to_digest="new", policy="nginx"),
        PlannedHost("odd", from_digest="elsewhere", to_digest="new", policy="nginx"),
    ]
    assert review.widens(hosts, {"nginx": wider}, tmp_path) == (
        f"a, b: nginx {nginx.version} -> 9.0.0 widens waivers[memory.limit/linux] (added).",
        "odd: what nginx widens is not known: elsewhere was not planned from here.",
    )


def test_a_remembered_policy_comes_back_whole(nginx: Manifest, tmp_path: Path) -> None:
    knowledge.remember(tmp_path, "a1", nginx)
    found = knowledge.recall(tmp_path, "a1")
    assert found is not None
    assert (digest(found), found.of(type(nginx.clauses[0]))) == (
        nginx.digest,
        nginx.of(type(nginx.clauses[0])),
    )


@pytest.mark.parametrize("text", ["", "[]", '{"=": "Manifest"}', '{"=": "system"}', '{"=": "cast"}', "{"])
def test_a_remembered_policy_that_was_changed_is_not_believed(text: str, tmp_path: Path) -> None:
    (tmp_path / "a1.json").write_text(text)
    assert knowledge.recall(tmp_path, "a1") is None
    assert knowledge.recall(tmp_path, "../a1") is None


def test_a_changed_value_is_not_believed(nginx: Manifest, tmp_path: Path) -> None:
    knowledge.remember(tmp_path, "a1", nginx)
    path = tmp_path / "a1.json"
    path.write_text(path.read_text().replace(nginx.version, "0.0.9"))
    assert knowledge.recall(tmp_path, "a1") is None


def test_what_the_plays_get() -> None:
    told = review.for_playbook(planned(), JOURNAL, ["x"])
    assert (told["order"], told["serial"], told["lines"]) == (["edge", "web1", "web22"], [1, 2], ["x"])
    assert told["digest"] == planned().digest


def test_many_hosts_are_counted() -> None:
    assert review.named([str(number) for number in range(11)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 3 more"
