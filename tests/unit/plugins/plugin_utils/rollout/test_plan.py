# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import options
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import (
    Options,
    Plan,
    PlannedHost,
    from_data,
    make,
    to_data,
)

FLEET = [
    PlannedHost("web3", "low", "debian13", "", "d3"),
    PlannedHost("web1", "medium", "debian12", "d0", "d1"),
    PlannedHost("edge", "critical", "debian12", "d0", "d1"),
    PlannedHost("web2", "medium", "debian12", "d0", "d1"),
    PlannedHost("gone", "medium", "", "", "", reachable=False),
    PlannedHost("web0", "high", "debian12", "d0", "d1"),
]


def plan(hosts: list[PlannedHost], **options: object) -> Plan:
    return make(
        rollout="nginx-e0001",
        epoch=1,
        policy="nginx",
        created="2026-11-24T10:00:00Z",
        hosts=hosts,
        options=Options(**options),  # type: ignore[arg-type]
    )


def cut(made: Plan) -> list[tuple[str, tuple[str, ...]]]:
    return [(wave.name, wave.hosts) for wave in made.waves]


def test_riskiest_first_then_one_of_each_kind_then_shares() -> None:
    assert cut(plan(FLEET)) == [
        ("pilot", ("edge",)),
        ("canary", ("web3",)),
        ("wave 1", ("web0",)),
        ("wave 2", ("gone", "web1", "web2")),
    ]


def test_order_of_changes_follows_the_waves() -> None:
    made = plan(FLEET)
    assert made.order == ("edge", "web3", "web0", "gone", "web1", "web2")
    assert [made.wave_of(name) for name in ("edge", "web3", "web2", "nobody")] == [
        "pilot",
        "canary",
        "wave 2",
        "",
    ]


def test_a_host_that_could_not_be_read_is_no_canary() -> None:
    made = plan([PlannedHost("a", fingerprint="x"), PlannedHost("b"), PlannedHost("c")], waves=(100,))
    assert cut(made) == [("pilot", ("a",)), ("wave 1", ("b", "c"))]


def test_hosts_with_nothing_to_change_come_last_and_prove_nothing() -> None:
    hosts = [
        PlannedHost("a", "critical", "x", "new", "new", current=True),
        PlannedHost("b", fingerprint="x", to_digest="new"),
    ]
    assert cut(plan(hosts, waves=(100,))) == [("pilot", ("b",)), ("unchanged", ("a",))]
    assert cut(plan(hosts[:1])) == [("unchanged", ("a",))]


def test_without_a_pilot_one_of_each_kind_goes_first() -> None:
    assert cut(plan(FLEET, pilot=0))[0] == ("canary", ("edge", "web3"))


@pytest.mark.parametrize(
    ("waves", "sizes"),
    [
        ((25, 100), [3, 7]),
        (("25%", "100%"), [3, 7]),
        (("2 hosts", "50%"), [2, 3, 5]),
        (("1 host",), [1, 9]),
        ((1, 2, 3), [1, 9]),
        (("500 hosts",), [10]),
        ((50, 25), [5, 5]),
        ((), [10]),
    ],
)
def test_shares_are_cumulative_and_leave_nobody_out(waves: tuple[int | str, ...], sizes: list[int]) -> None:
    hosts = [PlannedHost(f"h{number:02}", fingerprint="x") for number in range(11)]
    assert [len(wave.hosts) for wave in plan(hosts, waves=waves).waves] == [1, *sizes]


def test_one_host_is_a_pilot_and_nothing_else() -> None:
    assert cut(plan([PlannedHost("only")])) == [("pilot", ("only",))]


@settings(deadline=None)  # what is true is true on a busy machine as well
@given(st.randoms(use_true_random=False), st.integers(1, 8))
def test_same_hosts_in_any_order_give_the_same_plan(shuffle: random.Random, pilot: int) -> None:
    hosts = list(FLEET)
    shuffle.shuffle(hosts)
    assert plan(hosts, pilot=pilot).digest == plan(FLEET, pilot=pilot).digest


@given(
    st.lists(
        st.builds(
            PlannedHost,
            st.text("abc", min_size=1, max_size=4),
            st.sampled_from(["critical", "high", "medium", "low"]),
            st.sampled_from(["", "x", "y"]),
        ),
        min_size=1,
        unique_by=lambda host: host.name,
    ),
    st.lists(st.integers(1, 100), max_size=4),
    st.integers(1, 5),
)
def test_every_host_is_in_exactly_one_wave(hosts: list[PlannedHost], waves: list[int], pilot: int) -> None:
    made = plan(hosts, waves=tuple(waves), pilot=pilot)
    assert sorted(made.order) == sorted(host.name for host in hosts)
    assert all(wave.hosts for wave in made.waves)


def test_the_digest_binds_every_field() -> None:
    made = plan(FLEET)
    changed = [
        dataclasses.replace(made, epoch=2),
        dataclasses.replace(made, policy="redis"),
        dataclasses.replace(made, options=Options(max_failed=1)),
        dataclasses.replace(
            made, hosts=(dataclasses.replace(made.hosts[0], to_digest="d9"), *made.hosts[1:])
        ),
    ]
    assert len({made.digest, *(other.digest for other in changed)}) == 5


def test_plan_survives_json() -> None:
    made = plan(FLEET, waves=("2 hosts", 100), pause_after=("pilot",))
    assert from_data(json.loads(json.dumps(to_data(made)))) == made
    # As plans of before it was kept.
    assert "unenforced" not in to_data(made)
    told = dataclasses.replace(made, unenforced=("memory.limit: no host (refused)",))
    assert from_data(json.loads(json.dumps(to_data(told)))) == told
    assert told.digest != made.digest


def test_another_format_is_refused() -> None:
    with pytest.raises(RolloutError, match=r"The plan has format '9'; this version reads 2\."):
        from_data({"format": 9})


def test_all_faults_at_once() -> None:
    hosts = [PlannedHost("a", "huge"), PlannedHost("b"), PlannedHost("b")]
    with pytest.raises(RolloutError) as caught:
        plan(hosts, pilot=-1, max_failed=-1, soak=-1, waves=(0, 101, "many", "3 hosts"))
    assert str(caught.value).split(". ") == [
        "Host 'a' has bulkhead_risk 'huge'; write one of critical, high, medium, low",
        "Host 'b' is listed twice",
        "rollout_pilot is '-1'; write 0 or more",
        "rollout_max_failed is '-1'; write 0 or more",
        "rollout_soak is '-1'; write seconds, 0 or more",
        "rollout_waves has '0'; write a percentage (25), a count ('5 hosts') or a group ('group web')",
        "rollout_waves has '101'; write a percentage (25), a count ('5 hosts') or a group ('group web')",
        "rollout_waves has 'many'; write a percentage (25), a count ('5 hosts') or a group ('group web').",
    ]


def test_no_host() -> None:
    with pytest.raises(RolloutError) as caught:
        plan([])
    assert str(caught.value) == (
        "No host to change. Give an inventory, with -i INVENTORY, or other hosts of it, with -e fleet=PATTERN."
    )


def test_unknown_wave_names_the_known_ones() -> None:
    with pytest.raises(RolloutError, match="has no wave 'wave 9'") as caught:
        plan(FLEET).wave("wave 9")
    assert caught.value.help_text == "It has: pilot, canary, wave 1, wave 2."


GATES = (
    {"command": ["/bin/true"], "url": "http://x"},
    {"command": "rm -rf /"},
    {"url": "ftp://x"},
    {"prometheus": "http://p", "query": "up"},
    {"prometheus": "http://p", "below": 1},
    {"url": "http://x", "colour": "red"},
)


def test_faults_of_the_other_options() -> None:
    with pytest.raises(RolloutError) as caught:
        plan(FLEET, waves=("group nobody",), breaker=0, alpha=2, expected=0, denials=True, gates=GATES)
    text = str(caught.value)
    for fault in (
        "rollout_waves has 'group nobody', and the inventory has no group 'nobody'.",
        "rollout_breaker is '0'; write a percentage, 1 to 100.",
        "rollout_alpha is '2'; write a probability, such as 0.01.",
        "rollout_expected_denials is '0'; write denials per host and hour, above 0.",
        "rollout_denials needs rollout_poll: write the seconds between two looks, such as 60.",
        "; write a mapping with one of command, url, prometheus.",
        "rollout_gates has a command that is a text; write a list, such as [/usr/local/bin/check, --all].",
        "rollout_gates has an address that does not begin with http:// or https://; "
        "write one like https://shop.example.org:8443/health.",
        "rollout_gates needs 'below' or 'above' for prometheus, one of the two.",
        "rollout_gates has no 'query' for prometheus.",
        "rollout_gates has 'colour' for url; write one of retries, status, token_file, url, within.",
    ):
        assert fault in text


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            {"pause_after": ("canry",)},
            "rollout_pause_after has 'canry'; write pilot, canary, unchanged or wave 1 to wave 3.",
        ),
        ({"pause_after": ("wave 4",)}, "rollout_pause_after has 'wave 4'; write pilot, canary,"),
        (
            {"poll": 1, "soak": 100001},
            "rollout_poll is '1'; write more, so that a wave is looked at 100000 times",
        ),
        ({"approvals": -1}, "rollout_approvals is '-1'; write 0 or more."),
    ],
)
def test_faults_of_waves_and_looks(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(RolloutError, match=re.escape(fault)):
        plan(FLEET, **given)
    assert plan(FLEET, pause_after=("canary", "wave 3", "unchanged")).options.pause_after


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"lease": 300}, "rollout_lease needs rollout_poll: each look renews it."),
        ({"lease": 100, "poll": 60}, "rollout_lease is '100'; write 180 or more, so that one look may fail."),
        ({"lease": -1}, "rollout_lease is '-1'; write seconds, 0 for none."),
        ({"lapse": "stay"}, "rollout_lapse is 'stay'; write one of revert, hold."),
    ],
)
def test_faults_of_a_lease(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(RolloutError, match=re.escape(fault)):
        plan(FLEET, **options)
    assert plan(FLEET, lease=180, poll=60, lapse="hold").options.lease == 180


def test_a_wave_can_be_a_group_and_the_rest_follows() -> None:
    hosts = [PlannedHost(f"h{number}", fingerprint="x") for number in range(7)]
    made = make(
        rollout="nginx-e0001",
        epoch=1,
        policy="nginx",
        created="",
        hosts=hosts,
        options=Options(waves=("group eu", 50, 100)),
        groups={"eu": ["h6", "h2", "h0", "other"]},
    )
    assert cut(made) == [
        ("pilot", ("h0",)),
        ("wave 1", ("h2", "h6")),
        ("wave 2", ("h1",)),
        ("wave 3", ("h3", "h4", "h5")),
    ]


def test_a_host_with_several_policies_changes_once() -> None:
    hosts = [
        PlannedHost("a", fingerprint="x", policy="redis"),
        PlannedHost("a", fingerprint="x", policy="nginx"),
        PlannedHost("b", fingerprint="x", policy="nginx", to_digest="n", from_digest="n", current=True),
        PlannedHost("b", fingerprint="x", policy="redis"),
        PlannedHost("c", fingerprint="x", policy="nginx"),
    ]
    made = make(
        rollout="nginx+redis-e0001", epoch=1, policy="nginx+redis", created="", hosts=hosts, options=Options()
    )
    assert cut(made) == [("pilot", ("a",)), ("wave 1", ("b",)), ("wave 2", ("c",))]
    assert [(one.name, one.policy) for one in made.hosts] == [
        ("a", "nginx"),
        ("a", "redis"),
        ("b", "nginx"),
        ("b", "redis"),
        ("c", "nginx"),
    ]
    assert made.label("a", "redis") == "a redis"


def test_each_policy_needs_a_canary_of_its_own() -> None:
    hosts = [
        PlannedHost("a", fingerprint="x", policy="nginx"),
        PlannedHost("b", fingerprint="x", policy="redis"),
    ]
    made = make(
        rollout="nginx+redis-e0001", epoch=1, policy="nginx+redis", created="", hosts=hosts, options=Options()
    )
    assert cut(made) == [("pilot", ("a",)), ("canary", ("b",))]


def test_unknown_options_of_a_plan_are_refused() -> None:
    data = to_data(plan(FLEET))
    data["options"]["colour"] = "red"
    with pytest.raises(RolloutError, match="options that this version does not know: colour"):
        from_data(data)


def test_what_came_later_changes_no_hash_where_it_says_nothing() -> None:
    """Else a rollout that an earlier version planned could not be resumed."""
    assert "approvers_digest" not in options.to_data(Options())
    given = Options(approvers_digest="d")
    assert options.from_data(options.to_data(given)) == given
