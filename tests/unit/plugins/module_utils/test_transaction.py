# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the transaction decides before it touches the host; what it does there is tested on lab hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from host_fixtures import data, state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    bundles,
    footprint,
    removal,
    store,
    transaction,
)
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError


def wish() -> transaction.Wish:
    return transaction.Wish(bundles.parse(data()), 60, True, "", 0, False, "revert")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> store.Store:
    monkeypatch.setattr(footprint, "note_base", lambda: None)
    facts = {"unit": {"load_state": "loaded", "fragment": ""}}
    monkeypatch.setattr(transaction.features, "collect", lambda _unit, _paths: facts)
    monkeypatch.setattr(transaction.features, "fingerprint", lambda _facts: "f" * 64)
    return state_below(monkeypatch, tmp_path)


def fail(state: str) -> Any:
    def failing(*_given: object) -> None:
        raise HostError("no.", state=state)

    return failing


@pytest.mark.parametrize(("receipts", "forgets"), [(False, True), (True, False)])
def test_only_a_first_change_that_came_to_nothing_is_forgotten(
    place: store.Store, monkeypatch: pytest.MonkeyPatch, receipts: bool, forgets: bool
) -> None:
    if receipts:
        place.receipt("CONFIRMED")
    forgotten = []
    monkeypatch.setattr(removal, "forget", forgotten.append)
    monkeypatch.setattr(transaction, "_apply_locked", fail("unchanged"))
    with pytest.raises(HostError):
        transaction.apply(wish())
    assert bool(forgotten) is forgets


@pytest.mark.parametrize("check", [True, False])
def test_a_read_only_host_is_refused_before_anything_is_made(
    place: store.Store, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    monkeypatch.setattr(transaction.files.os, "access", lambda _folder, _mode: False)
    monkeypatch.setattr(store.Store, "create", lambda _place: pytest.fail("something was made"))
    with pytest.raises(HostError, match="cannot be written on this host: .* is read-only") as told:
        transaction.apply(wish()._replace(check=check))
    assert told.value.state == "refused"


def test_who_waits_in_vain_for_the_lock_forgets_nothing(
    place: store.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "forget", lambda _place: pytest.fail("another run's state"))
    waited = store.Store.lock
    monkeypatch.setattr(store.Store, "lock", lambda self: waited(self, 0.0))
    with waited(place), pytest.raises(HostError, match=r"another run holds the lock of policy web\."):
        transaction.apply(wish())
    assert Path(place.path).is_dir()
