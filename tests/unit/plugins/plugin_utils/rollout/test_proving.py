# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import proving
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Options, PlannedHost, make

# a: pilot; b and c: canary; d, e, f: wave 1; g: unchanged; h could not be read.
KINDS = {"a": "x", "b": "y", "c": "z", "d": "x", "e": "y", "f": "y", "g": "z"}
PLAN = make(
    rollout="nginx-e0003",
    epoch=3,
    policy="nginx",
    created="",
    hosts=[
        *(
            PlannedHost(n, "medium", k, "old", "new", current=n == "g", policy="nginx")
            for n, k in KINDS.items()
        ),
        PlannedHost("h", reachable=False, policy="nginx"),
    ],
    options=Options(waves=(100,)),
)


def applied(**outcomes: str) -> list[Record]:
    return [Record("apply", outcome, host=host, policy="nginx") for host, outcome in outcomes.items()]


@pytest.mark.parametrize(
    ("outcomes", "left"),
    [
        ({"a": "changed", "b": "changed", "c": "changed"}, ""),
        ({"a": "unchanged", "b": "changed", "c": "unchanged"}, ""),
        ({"a": "changed", "b": "unreachable", "c": "changed"}, "e, f: b did not change."),
        ({"a": "unreachable", "b": "unreachable", "c": "changed"}, "d, e, f: a, b did not change."),
        # Of its kind there is none left that changes.
        ({"a": "changed", "b": "changed", "c": "unreachable"}, ""),
    ],
)
def test_what_comes_later_was_shown_on_its_kind(outcomes: dict[str, str], left: str) -> None:
    text = f"No host has shown it on the kind of system of {left} Resume when it answers, or promote."
    assert proving.unproven(PLAN, applied(**outcomes), "canary") == (text if left else "")
    # The pilot is followed by canaries, and later waves prove nothing.
    assert proving.unproven(PLAN, applied(**outcomes), "pilot") == ""
    assert proving.unproven(PLAN, applied(**outcomes), "wave 1") == ""


def test_a_pilot_without_canaries_is_the_last_of_them() -> None:
    hosts = [PlannedHost(name, "medium", "x", "old", "new", policy="nginx") for name in "abc"]
    plan = make(
        rollout="nginx-e0003", epoch=3, policy="nginx", created="", hosts=hosts, options=Options(pilot=2)
    )
    assert proving.unproven(plan, applied(a="unreachable", b="changed"), "pilot") == ""
    assert proving.unproven(plan, applied(a="unreachable", b="unreachable"), "pilot").startswith(
        "No host has"
    )
