# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the transaction decides before it touches the host; what it does there is tested on lab hosts."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from host_fixtures import data, state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    bundles,
    footprint,
    installing,
    machine,
    plan,
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


def record(**changes: Any) -> dict[str, Any]:
    fields = {
        "from": "",
        "to": "",
        "nonce": "n",
        "phase": "armed",
        "lapse": "revert",
        "boot_id": "",
        "deadline": 0,
    }
    return {**fields, "epoch": 0, "rollout": "", **changes}


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


@pytest.mark.parametrize("left", ["active", "confirmed.json", "reverting.json", "generations/" + "a" * 64])
def test_a_refused_run_forgets_nothing_where_only_the_receipts_are_lost(
    place: store.Store, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    Path(place.at(left)).write_text("x")
    monkeypatch.setattr(removal, "forget", lambda _place: pytest.fail("the sandbox is installed"))
    monkeypatch.setattr(transaction, "_apply_locked", fail("refused"))
    with pytest.raises(HostError, match=r"no\."):
        transaction.apply(wish())


@pytest.fixture
def planned(place: store.Store, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Nothing of the host is touched: guard, parsers, files and health checks are not there."""
    found = SimpleNamespace(write=[], remove=[], restart=[], reasons=[], facts={}, units=[])
    for name in ("install", "arm", "validate", "switch", "test", "dismiss"):
        monkeypatch.setattr(transaction.Apply, name, lambda _change: None)
    return found


def changed(place: store.Store, planned: SimpleNamespace) -> dict[str, Any]:
    step = machine.step(machine.NOTHING, "apply")
    with place.lock():
        answer: dict[str, Any] = transaction._change(
            place, wish().bundle, planned, wish(), {"unit": {}}, step
        )
        return answer


@pytest.mark.parametrize("lost", ["record pending", "receipt PENDING"])
@pytest.mark.parametrize("error", [HostError("no room."), OSError(28, "no room")])
def test_what_fails_after_the_switch_goes_back_and_is_told_so(
    place: store.Store, planned: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, lost: str, error: Exception
) -> None:
    verb, _space, name = lost.partition(" ")
    real = getattr(transaction.Apply, verb)

    def failing(change: transaction.Apply, argument: str) -> None:
        if argument == name:
            raise error
        real(change, argument)

    def back(change: transaction.Apply) -> None:
        Path(place.at("pending.json")).rename(place.at("reverted.json"))
        place.set_active("")
        change.went_back = True

    monkeypatch.setattr(transaction.Apply, verb, failing)
    monkeypatch.setattr(transaction.Apply, "revert", back)
    with pytest.raises(HostError, match="The host is back on what it had before") as told:
        changed(place, planned)
    assert told.value.state == "reverted"
    assert place.active() == "" and place.record("reverted")["nonce"]


def test_what_was_never_confirmed_is_not_unchanged(
    place: store.Store, planned: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A way back that failed has left the new generation: applied once more it waits for its confirmation."""
    bundle = wish().bundle
    place.stage(bundle)
    place.set_active(bundle.digest)
    unchanged = plan.Plan([], [], [], [], [], [], {}, False)
    monkeypatch.setattr(transaction, "_plan", lambda *_given: unchanged)
    monkeypatch.setattr(transaction.units, "service", lambda _unit: None)
    monkeypatch.setattr(transaction, "_renew_guard", dict)
    monkeypatch.setattr(transaction.drift, "of_features", lambda *_given: [])
    monkeypatch.setattr(transaction.drift, "remembered", lambda *_given: {})
    with place.lock():
        answer = transaction._converge(place, wish(), {"unit": {}})
        assert answer["state"] == "pending"
        assert answer["reasons"] == ["what is installed was never confirmed"]
        place.confirm()
        assert transaction._converge(place, wish(), {"unit": {}})["state"] == "unchanged"


@pytest.mark.parametrize("has", ["active", "to", "from"])
def test_of_two_policies_for_one_unit_at_the_same_time_one_is_refused(
    place: store.Store, planned: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, has: str
) -> None:
    """The other one was not there at the first look: it came while this one was staged."""
    facts = {"unit": {"names": []}}
    theirs = bundles.build(data(policy="other"))
    other = store.Store("other")

    def comes(_change: transaction.Apply) -> None:
        other.create()
        other.stage(theirs)
        if has == "active":
            other.set_active(theirs.digest)
        else:
            ways = {"from": "", "to": "", has: theirs.digest}
            other.write_pending(record(**ways))

    monkeypatch.setattr(transaction.Apply, "validate", comes)
    monkeypatch.setattr(transaction.Apply, "switch", lambda _change: pytest.fail("it was switched"))
    step = machine.step(machine.NOTHING, "apply")
    with place.lock(), pytest.raises(HostError, match="is confined by policy other already") as told:
        transaction._change(place, wish().bundle, planned, wish(), facts, step)
    assert told.value.state == "refused"
    assert place.state().phase == machine.IDLE and place.active() == ""


def test_what_a_policy_may_go_back_to_counts_as_installed(place: store.Store) -> None:
    old, new = bundles.build(data()), bundles.build(data(mode="audit"))
    for bundle in (old, new):
        place.stage(bundle)
    place.set_active(new.digest)
    assert [found.mode for _name, found in installing.installed_bundles()] == ["audit"]
    place.write_pending(record(**{"from": old.digest, "to": new.digest}))
    assert {found.mode for _name, found in installing.installed_bundles()} == {"enforce", "audit"}
