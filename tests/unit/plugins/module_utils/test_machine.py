# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a change over all interleavings of everybody who may act on a host."""

from __future__ import annotations

import itertools

import pytest
from change_model import Process, Record, World, explore, stuck

from ansible_collections.bulkhead.fleet.plugins.module_utils import machine

# Run 1 waits for its confirmation, and run 3 wants the same.
WAITS = World(
    active="B", files="B", record=Record(machine.PENDING, 1, "A", "B", 1), seen=1, way=1, waiting=(3,),
    processes=(Process("guard", 1),), pending_confirms=((1, False),),
)  # fmt: skip

EVENTS = ("apply", "remove", "take back", "confirm", *machine.GUARD[:3])


@pytest.mark.parametrize(
    ("start", "kills", "reboots", "least"),
    [
        (World(waiting=(1,)), 2, 1, 7000),
        (World(), 0, 0, 30000),
        (World(waiting=(1, 3)), 0, 0, 60000),
        (WAITS, 2, 0, 60000),
    ],
    ids=["one run, two kills, a reboot", "two runs", "a change adopted", "a change adopted, two kills"],
)
def test_no_interleaving_breaks_what_must_hold(start: World, kills: int, reboots: int, least: int) -> None:
    found = explore(start, kills, reboots)
    assert len(found) >= least
    assert stuck(found) == []
    ends = {what for world in found for _nonce, what in world.outcomes}
    assert ends == {"confirmed", "reverted"}


def test_there_is_a_rule_for_every_state_that_an_event_can_meet() -> None:
    flags = [field for field in machine.State._fields if field not in ("phase", "last")]
    phases = [phase for phase in machine.ANY if phase != machine.STAGED]
    for phase, event, last in itertools.product(phases, EVENTS, ("", "confirmed", "reverted")):
        for values in itertools.product((False, True), repeat=len(flags)):
            state = machine.State(phase=phase, last=last, **dict(zip(flags, values, strict=True)))
            assert machine.step(state, event).phase in machine.ANY


def test_nothing_goes_back_that_nobody_waits_for() -> None:
    for event in EVENTS:
        step = machine.step(machine.NOTHING, event)
        assert "files back" not in step.effects and "revert" not in step.effects


def test_an_event_without_a_rule_is_a_fault_of_ours() -> None:
    with pytest.raises(LookupError, match="no rule for healthy while idle"):
        machine.step(machine.NOTHING, "healthy")
