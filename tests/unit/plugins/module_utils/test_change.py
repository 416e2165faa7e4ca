# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change carries out what the machine decides, in its order, and nothing of its own."""

from __future__ import annotations

import pytest
from host_fixtures import data

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    bundles,
    change,
    machine,
    store,
    transaction,
)

WISH = transaction.Wish(bundles.parse(data()), 60, True, "web-e0007", 7, False, "hold")


class Place:
    """Keeps in order what it is asked to write."""

    policy = "web"

    def __init__(self, phase: str = machine.IDLE) -> None:
        self.done: list[object] = []
        self.phase = phase

    def confirm(self) -> None:
        self.done.append("confirm")

    def note_epoch(self, fields: dict[str, object]) -> None:
        self.done.append(("epoch", fields["epoch"]))

    def write_pending(self, fields: dict[str, object]) -> None:
        self.done.append((fields["phase"], fields["deadline"]))

    def receipt(self, event: str, **fields: object) -> None:
        self.done.append((event, fields["nonce"], fields["epoch"]))

    def state(self) -> machine.State:
        return machine.NOTHING._replace(phase=self.phase)


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "uptime", lambda: 1000.0)
    monkeypatch.setattr(store, "boot_id", lambda: "boot")


def test_each_change_has_a_nonce_of_its_own_and_says_whose_it_is() -> None:
    one, other = (change.begun("a", "b", WISH) for _ in range(2))
    assert one.pop("nonce") != other.pop("nonce")
    assert one == other == {"from": "a", "to": "b", "epoch": 7, "rollout": "web-e0007", "lapse": "hold"}


def test_effects_come_in_the_order_of_the_machine() -> None:
    place = Place()
    fields = {"nonce": "n", "epoch": 7}
    step = machine.Step("", ("record armed", "receipt APPLYING", "record epoch", "record confirmed"), "")
    change.Change(place, fields, 60).carry_out(step)
    limit = change.APPLY_LIMIT
    assert place.done == [("armed", 1060.0 + limit), ("APPLYING", "n", 7), ("epoch", 7), "confirm"]


def test_the_time_to_confirm_begins_when_the_change_is_through() -> None:
    place = Place()
    change.Change(place, {}, 60).record("pending")
    assert place.done == [("pending", 1060.0)]


@pytest.mark.parametrize(("phase", "asleep"), [(machine.IDLE, True), (machine.REVERTING, False)])
def test_the_guard_stays_awake_while_files_are_not_back(
    phase: str, asleep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    dismissed: list[str] = []
    monkeypatch.setattr(change.guard, "dismiss", dismissed.append)
    change.Change(Place(phase), {}).dismiss()
    assert dismissed == (["web"] if asleep else [])


def test_an_effect_that_nobody_carries_out_is_no_silent_nothing() -> None:
    with pytest.raises(AttributeError):
        change.Change(Place(), {}).carry_out(machine.Step("", ("dance",), ""))
