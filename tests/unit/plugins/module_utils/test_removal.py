# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a removal tells. What it does is seen on lab hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from host_fixtures import state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import machine, removal, transaction
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError


def test_an_application_that_does_not_come_back_is_told_and_the_sandbox_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_below(monkeypatch, tmp_path)

    def carried_out(change: removal.Removal, _step: machine.Step) -> None:
        change.faults = ["web.service did not stay up."]

    step = machine.Step(machine.IDLE, ("withdraw", "forget"), "absent")
    monkeypatch.setattr(removal, "_plan", lambda _place, _wish: None)
    monkeypatch.setattr(removal, "_settled", lambda _place, _wish, planned: (planned, step))
    monkeypatch.setattr(removal.Removal, "carry_out", carried_out)
    monkeypatch.setattr(transaction, "close_debug", lambda _place, _wish: None)
    with pytest.raises(HostError) as told:
        removal.absent("web", transaction.Wish(None, 60, True, "", 1, False, "revert"))
    assert str(told.value) == "The sandbox is gone, but web.service did not stay up."
    assert told.value.state == "absent"
    assert told.value.extra["changed"] is True and "state" not in told.value.extra


@pytest.mark.parametrize("unwell", ["", "sick before."])
def test_an_application_that_was_unwell_before_is_no_fault_of_the_removal(
    monkeypatch: pytest.MonkeyPatch, unwell: str
) -> None:
    wish = transaction.Wish(None, 60, True, "", 1, False, "revert", unwell)
    change = object.__new__(removal.Removal)
    change.place, change.planned, change.wish, change.faults, change.note = None, None, wish, [], ""
    monkeypatch.setattr(
        removal, "_withdraw", lambda _place, _planned: (["sick now."], ["a profile is left."])
    )
    change.withdraw()
    # What else is left is a fault all the same.
    assert change.faults == [*([] if unwell else ["sick now."]), "a profile is left."]
    assert change.note == (
        "it is back and no better for it: before: sick before. Now: sick now." if unwell else ""
    )
