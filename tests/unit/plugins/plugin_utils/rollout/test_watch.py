# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import baselines, gates, watch
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import (
    Options,
    Plan,
    PlannedHost,
    make,
)

OPTIONS = Options(poll=60, soak=600, denials=True, health_retries=1, waves=(50, 100), max_failed=1)


def planned(options: Options = OPTIONS, **fields: Any) -> Plan:
    hosts = [
        PlannedHost(name, fingerprint=kind, from_digest="old", to_digest="new", policy="nginx", **fields)
        for name, kind in (("a", "x"), ("b", "y"), ("c", "x"), ("d", "y"), ("e", "x"))
    ]
    return make(rollout="nginx-e0001", epoch=1, policy="nginx", created="", hosts=hosts, options=options)


def poll(**exposure: Any) -> Record:
    return Record("poll", "seen", wave="pilot", exposure={"asked": 1, "hosts": 1, "seconds": 60, **exposure})


def seen(*rows: list[Any], cursor: str = "c", known: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"active": "new", "denials": {"rows": list(rows), "cursor": cursor, "known": list(known)}}


def test_hosts_are_compared_with_later_ones_of_their_kind() -> None:
    made = planned()
    assert [(w.name, w.hosts) for w in made.waves][:2] == [("pilot", ("a",)), ("canary", ("b",))]
    assert baselines.pairs(made, "pilot") == {"a": "c"}
    assert baselines.pairs(made, "canary") == {"b": "d"}
    assert baselines.pairs(made, made.waves[-1].name) == {}
    assert baselines.pairs(made, "catch-up") == {}


def test_a_host_without_a_sandbox_has_no_denials_to_compare_with() -> None:
    hosts = tuple(replace(host, from_digest="") for host in planned().hosts)
    assert baselines.pairs(replace(planned(), hosts=hosts), "pilot") == {}


def test_an_event_is_one_signature_on_one_host_and_old_ones_are_none() -> None:
    answers = {
        "a": seen(["x", "2026-01-01"], ["x", "2026-01-02"], ["known", "2026-01-02"], known=("known",)),
        "b": seen(["x", "2026-01-01"], ["y", "2026-01-03"], ["z", None], cursor=""),
        "c": {"active": "new"},
        "d": None,
    }
    assert watch.side(answers, "2026-01-02") == (2, {"x": 1, "y": 1, "z": 1})


def test_a_host_can_have_so_many_kinds_and_no_more() -> None:
    assert len(watch.side({"a": seen(*[[str(n), ""] for n in range(99)])}, "")[1]) == watch.MOST


def test_a_hosts_answer_in_short() -> None:
    row = {"mechanism": "apparmor", "act": "read", "path": "/srv/x", "count": 9, "last": "T"}
    answer = {"denials": [row], "cursor": "2", "unrecorded": [1]}
    assert watch.brief(answer, {"next": "1", "known": ["k"]}) == {
        "rows": [["apparmor: read /srv/x", "T"]],
        "cursor": "1",
        "next": "2",
        "known": ["k"],
        "unrecorded": 1,
    }


def test_what_one_look_saw() -> None:
    sick = {"active": "new", "health": [{"id": "health[0]", "ok": False, "detail": "502"}]}
    told = watch.exposure({"a": seen(["x", "T"]), "b": sick, "c": None}, {"d": seen()}, 61.23, "")
    assert told == {
        "asked": 3,
        "answered": 2,
        "unhealthy": {"b": "health[0]: 502"},
        "seconds": 61.2,
        "hosts": 1,
        "events": {"x": 1},
        "base_hosts": 1,
        "base_events": {},
        "unrecorded": 0,
    }


@pytest.mark.parametrize(
    ("looks", "sick", "tripped"),
    [
        ([{}], [], False),
        ([{"unhealthy": {"a": "502"}}], [], False),
        ([{"unhealthy": {"a": "502"}}, {}], [], False),
        ([{"unhealthy": {"a": "502"}}, {"unhealthy": {"a": "502"}}], ["a"], False),
        ([{"unhealthy": {"a": "502"}}, {"unhealthy": {"b": "502"}}], [], False),
        ([{"asked": 4, "unhealthy": {"a": "", "b": ""}}], [], False),
        ([{"asked": 4, "unhealthy": {"a": "", "b": "", "c": ""}}], ["a", "b", "c"], True),
    ],
)
def test_forgiven_once_unless_too_many_are_sick_at_once(
    looks: list[dict[str, Any]], sick: list[str], tripped: bool
) -> None:
    found = watch.judge(planned(), [poll(**look) for look in looks], "pilot")
    assert (list(found.sick), found.tripped) == (sick, tripped)


def test_looks_before_a_wave_was_begun_again_say_nothing_of_its_health() -> None:
    sick = poll(unhealthy={"a": "502"})
    again = Record("apply", "unchanged", wave="pilot", host="a", policy="nginx")
    assert not watch.judge(planned(), [sick, sick, again, poll()], "pilot").sick


def test_denials_add_up_over_the_rollout_and_cross_the_line() -> None:
    quiet = poll(base_hosts=1)
    found = watch.judge(planned(), [quiet] * 9, "pilot")
    assert (found.value, found.line, found.denied) == (1, 100, False)
    assert found.detail == (
        "denials: e-value 1, line 100, 0 in 0.15 host-hours against 0 in 0.15 of unchanged hosts"
    )
    noisy = poll(asked=5, hosts=5, base_hosts=5, events={"apparmor: read /srv/x": 5})
    found = watch.judge(planned(), [quiet, noisy, noisy, noisy], "pilot")
    assert found.denied
    assert found.detail.endswith("; most of all apparmor: read /srv/x")
    # Once over the line is enough: what comes later does not take it back.
    assert watch.judge(
        planned(), [noisy] * 3 + [poll(base_hosts=9, base_events={"x": 9})] * 9, "pilot"
    ).denied


def test_without_others_to_compare_with_the_bound_is_told() -> None:
    found = watch.judge(planned(), [poll()], "pilot")
    assert found.detail.endswith("0 in 0.0167 host-hours; up to 180 per host-hour could go unseen")
    assert watch.judge(planned(), [poll(events={"a": 1})] * 3, "pilot").detail.endswith("; most of all a")


def test_denials_that_could_not_be_read_are_told() -> None:
    assert watch.judge(planned(), [poll(asked=3, hosts=1)], "pilot").blind == 2
    off = planned(replace(OPTIONS, denials=False))
    assert watch.judge(off, [poll(asked=3, hosts=0)], "pilot").blind == 0


def test_a_sick_host_ends_a_proving_wave_and_counts_in_the_others() -> None:
    sick = watch.Verdict(sick={"a": "502"})
    assert gates.lost(planned(), [], "pilot", sick)
    assert not gates.lost(planned(), [], "wave 1", sick)
    assert gates.lost(planned(), [], "wave 1", watch.Verdict(sick={"a": "", "b": ""}))
    assert gates.lost(planned(), [], "wave 1", watch.Verdict(value=100, line=100))


@pytest.mark.parametrize(
    ("states", "unread"),
    [
        (["read", "absent", "absent"], False),
        (["absent", "absent", "read"], False),
        (["failed: No journal files", "absent", "read"], False),
        (["failed: No journal files", "absent", "absent"], True),
        (["absent", "absent", "absent"], True),
        ([], False),
    ],
)
def test_denials_that_nobody_could_read_are_none_that_were_not_there(states: list[str], unread: bool) -> None:
    assert watch.unread({"sources": [{"source": "x", "state": state} for state in states]}) is unread
