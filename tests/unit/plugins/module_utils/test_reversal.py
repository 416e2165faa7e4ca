# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the way back decides before it touches the host; what it does there is tested on lab hosts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from host_fixtures import data, state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    bundles,
    footprint,
    mending,
    removal,
    reversal,
    store,
    transaction,
)
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

WISH = transaction.Wish(bundles.parse(data()), 60, True, "", 3, False, "revert")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> store.Store:
    monkeypatch.setattr(footprint, "note_base", lambda: None)
    monkeypatch.setattr(mending, "mend", lambda _place, _bundle=None: None)
    monkeypatch.setattr(transaction, "close_debug", lambda _place, _wish: None)
    monkeypatch.setattr(reversal, "_unwell", lambda _bundle: "")
    return state_below(monkeypatch, tmp_path)


def test_a_way_back_that_failed_is_gone_again(place: store.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    place.set_active("a" * 64)
    place.receipt("REVERTED")
    assert reversal.revert("web", WISH, "a" * 64, "b" * 64)["state"] == "unchanged"
    place.receipt("REVERT_FAILED")
    Path(place.generation("a" * 64)).mkdir()
    with pytest.raises(HostError, match="has no generation aaaaaaaaaaaa on this host any more"):
        reversal.revert("web", WISH, "a" * 64, "b" * 64)


def test_a_lower_epoch_does_not_go_back(place: store.Store) -> None:
    place.set_active("b" * 64)
    place.write_pending({"epoch": 4, "from": "a" * 64, "to": "b" * 64})
    with pytest.raises(HostError, match="epoch 3 is refused") as told:
        reversal.revert("web", WISH, "a" * 64, "b" * 64)
    assert told.value.state == "refused"
    assert place.active() == "b" * 64


def test_back_to_nothing_is_a_removal(place: store.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    place.set_active("b" * 64)
    monkeypatch.setattr(
        removal, "absent", lambda policy, _wish, _place: {"state": "absent", "policy": policy}
    )
    assert reversal.revert("web", WISH, "", "b" * 64) == {"state": "absent", "policy": "web"}


def test_nothing_confirmed_before_is_nothing_to_go_back_to(place: store.Store) -> None:
    place.set_active("b" * 64)
    assert reversal.revert("web", WISH)["state"] == "unchanged"


def test_what_another_run_changed_meanwhile_stays(
    place: store.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`to` was active when it was asked, and is not once the lock is ours."""
    place.set_active("b" * 64)
    locked = store.Store.lock

    @contextmanager
    def waited(self: store.Store, wait: float = 60.0) -> Iterator[None]:
        place.set_active("c" * 64)
        with locked(self, wait):
            yield

    monkeypatch.setattr(store.Store, "lock", waited)
    assert reversal.revert("web", WISH, "", "b" * 64)["state"] == "unchanged"
    assert place.active() == "c" * 64


def test_the_whole_way_is_gone_under_one_lock(place: store.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundles.build(data())
    place.stage(bundle)
    place.set_active("b" * 64)
    monkeypatch.setattr(reversal.features, "collect", lambda _unit, _paths: {})
    monkeypatch.setattr(reversal.features, "fingerprint", lambda _facts: "f")

    def apply(wish: transaction.Wish, held: store.Store) -> dict[str, object]:
        assert held.lock_descriptors() and wish.bundle.digest == bundle.digest
        return {"state": "pending"}

    monkeypatch.setattr(transaction, "apply", apply)
    assert reversal.revert("web", WISH, bundle.digest, "b" * 64) == {"state": "pending"}


def test_a_look_makes_no_lock(place: store.Store) -> None:
    place.set_active("b" * 64)
    assert reversal.revert("web", WISH._replace(check=True))["state"] == "unchanged"
    assert not Path(place.at("lock")).exists()


def test_what_nobody_confirmed_goes_to_what_was(place: store.Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = bundles.build(data())
    place.stage(bundle)
    place.write_pending({"from": "", "to": bundle.digest, "nonce": "n"})
    place.confirm()
    place.set_active("b" * 64)
    monkeypatch.setattr(reversal.features, "collect", lambda _unit, _paths: {})
    monkeypatch.setattr(reversal.features, "fingerprint", lambda _facts: "f")
    monkeypatch.setattr(transaction, "apply", lambda wish, _place: {"to": wish.bundle.digest})
    assert reversal.revert("web", WISH) == {"to": bundle.digest}


@pytest.mark.parametrize(
    ("state", "fault", "unwell"),
    [
        ("active", "", ""),
        ("active", "health check h1 failed.", "health check h1 failed."),
        ("activating", "", "web.service is activating."),
        ("failed", "health check h1 failed.", ""),
        ("inactive", "health check h1 failed.", ""),
    ],
)
def test_what_is_wrong_before_the_way_back(
    monkeypatch: pytest.MonkeyPatch, state: str, fault: str, unwell: str
) -> None:
    def check(_checks: object) -> None:
        if fault:
            raise HostError(fault)

    monkeypatch.setattr(reversal.units, "show", lambda _names: {"web.service": {"ActiveState": state}})
    monkeypatch.setattr(reversal.health, "check_all", check)
    assert reversal._unwell(bundles.build(data())) == unwell


@pytest.mark.parametrize(("check", "unwell"), [(True, ""), (False, "sick.")])
def test_the_way_back_knows_how_the_application_was(
    place: store.Store, monkeypatch: pytest.MonkeyPatch, check: bool, unwell: str
) -> None:
    """A look asks nothing of the application."""
    bundle = bundles.build(data())
    place.stage(bundle)
    place.set_active("b" * 64)
    monkeypatch.setattr(reversal.features, "collect", lambda _unit, _paths: {})
    monkeypatch.setattr(reversal.features, "fingerprint", lambda _facts: "f")
    monkeypatch.setattr(reversal, "_unwell", lambda _bundle: "sick.")
    monkeypatch.setattr(transaction, "apply", lambda wish, _place: {"unwell": wish.unwell})
    asked = WISH._replace(check=check)
    assert reversal.revert("web", asked, bundle.digest, "b" * 64) == {"unwell": unwell}


def test_a_policy_that_is_not_on_the_host_is_unchanged(place: store.Store) -> None:
    assert reversal.revert("other", WISH, "a" * 64, "b" * 64)["changed"] is False
