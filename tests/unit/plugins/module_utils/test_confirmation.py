# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A confirm counts once, in time, in the same boot and for its own nonce; all else is told apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from host_fixtures import state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import confirmation, guard, store

NONCE = "a" * 32


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> store.Store:
    monkeypatch.setattr(guard, "dismiss", lambda _policy: None)
    return state_below(monkeypatch, tmp_path)


def pend(place: store.Store, **changes: Any) -> None:
    fields = {"from": "", "to": "b" * 64, "nonce": NONCE, "rollout": "", "epoch": 0, "phase": "pending"}
    times = {"boot_id": store.boot_id(), "deadline": store.uptime() + 60, "lapse": "revert"}
    place.write_pending({**fields, **times, **changes})


def test_a_policy_that_is_not_here_is_unknown_and_stays_away(place: store.Store) -> None:
    place.vanish()
    assert confirmation.confirm("web", NONCE) == {"changed": False, "state": "UNKNOWN", "active": ""}
    assert not place.exists()


@pytest.mark.parametrize(
    ("changes", "nonce", "state"),
    [
        ({}, NONCE, "CONFIRMED"),
        ({}, "c" * 32, "UNKNOWN"),
        ({}, "", "UNKNOWN"),
        ({}, None, "UNKNOWN"),
        ({"deadline": 0}, NONCE, "TOO_LATE"),
        ({"boot_id": "another"}, NONCE, "TOO_LATE"),
        ({"phase": "armed"}, NONCE, "TOO_LATE"),
    ],
)
def test_what_a_confirm_is_told(
    place: store.Store, changes: dict[str, Any], nonce: str | None, state: str
) -> None:
    pend(place, **changes)
    answer = confirmation.confirm(place.policy, nonce)
    assert (answer["state"], answer["changed"]) == (state, state == "CONFIRMED")
    assert Path(place.at("pending.json")).exists() is (state != "CONFIRMED")


def test_asking_twice_is_no_fault_and_leaves_one_receipt(place: store.Store) -> None:
    pend(place)
    assert [confirmation.confirm(place.policy, NONCE)["state"] for _time in range(2)] == ["CONFIRMED"] * 2
    assert Path(place.at("receipts.jsonl")).read_text("utf-8").count('"CONFIRMED"') == 1


def test_a_host_without_the_policy_knows_of_no_change(place: store.Store) -> None:
    assert place.policy != "other"
    answer = confirmation.confirm("other", NONCE)
    assert answer == {"changed": False, "state": "UNKNOWN", "active": ""}
    assert not store.Store("other").exists()
