# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch is held to afterwards; that it works is tested on lab hosts."""

from __future__ import annotations

from typing import Any

import pytest
from host_fixtures import data

from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles, installing, plan
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

UNIT = "web.service"
ACTIVE = {"ActiveState": "active", "MainPID": "7"}


def planned(restart: list[str]) -> plan.Plan:
    return plan.Plan([], [], [], [], restart, [], {}, False)


class World:
    """One application: ``states`` one after the other, the last one for good."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *states: dict[str, str], sick: str = "", label: str = ""
    ) -> None:
        self.states, self.forgiven = list(states), []  # type: ignore[var-annotated]
        self.sick = sick
        monkeypatch.setattr(installing.drift, "properties", lambda _bundle: {UNIT: []})
        monkeypatch.setattr(installing.units, "show", self.show)
        monkeypatch.setattr(installing.units, "explain", lambda *_given: "no words.")
        monkeypatch.setattr(installing.health, "check_all", self.check)
        monkeypatch.setattr(installing.health, "settled", lambda _name, before, *_more: before)
        monkeypatch.setattr(installing.apparmor, "wrong_label", lambda *_given: label)

    def show(self, _names: list[str], _extra: object = ()) -> dict[str, dict[str, str]]:
        return {UNIT: self.states.pop(0) if len(self.states) > 1 else self.states[0]}

    def check(self, _checks: object) -> None:
        if self.sick:
            raise HostError(self.sick)

    def test(self, restart: bool, forgives: bool = False) -> Any:
        def forgive(problem: HostError) -> None:
            if not forgives:
                raise problem
            self.forgiven.append(str(problem))

        units = [UNIT] if restart else []
        return installing._smoke_test(bundles.build(data()), planned(units), forgive)


def test_one_that_was_stopped_stays_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = {"ActiveState": "inactive"}
    assert World(monkeypatch, stopped, sick="sick.", label="wrong").test(restart=False) == stopped


@pytest.mark.parametrize("restart", [True, False])
def test_one_that_is_sick_is_not_let_pass(monkeypatch: pytest.MonkeyPatch, restart: bool) -> None:
    with pytest.raises(HostError, match="sick"):
        World(monkeypatch, ACTIVE, sick="sick.").test(restart)


def test_one_that_does_not_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HostError, match=r"web.service does not run after its restart: no words\."):
        World(monkeypatch, {"ActiveState": "failed"}).test(restart=True)


def test_what_is_forgiven_is_kept_and_looked_at_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    later = {"ActiveState": "active", "MainPID": "8"}
    world = World(monkeypatch, ACTIVE, later, sick="sick.")
    assert world.test(restart=True, forgives=True) == later
    assert world.forgiven == ["sick."]
    dead = World(monkeypatch, {"ActiveState": "failed"})
    assert dead.test(restart=True, forgives=True) == {"ActiveState": "failed"}


def test_a_wrong_profile_is_never_forgiven(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would run without its sandbox."""
    with pytest.raises(HostError, match="runs unconfined"):
        World(monkeypatch, ACTIVE, sick="sick.", label="runs unconfined").test(restart=True, forgives=True)


@pytest.mark.parametrize("unwell", ["", "sick before."])
def test_only_one_that_was_unwell_before_is_forgiven(unwell: str) -> None:
    change = object.__new__(installing.Apply)
    change.wish, change.note = type("Wish", (), {"unwell": unwell}), ""
    if not unwell:
        with pytest.raises(HostError, match="sick now"):
            change.forgive(HostError("sick now."))
    else:
        change.forgive(HostError("sick now."))
        assert change.note == "it is back and no better for it: before: sick before. Now: sick now."
