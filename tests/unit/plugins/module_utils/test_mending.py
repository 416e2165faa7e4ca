# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from host_fixtures import data, state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles, mending, receipts, store
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> store.Store:
    """One confirmed generation."""
    place = state_below(monkeypatch, tmp_path)
    bundle = bundles.parse(data())
    place.stage(bundle)
    place.set_active(bundle.digest)
    fields = {"from": "", "to": bundle.digest, "nonce": "n1", "epoch": 3, "rollout": "r", "phase": "pending"}
    place.write_pending(fields)
    place.confirm()
    place.receipt("CONFIRMED", **receipts.named(fields))
    return place


def test_a_whole_state_has_no_damage_and_is_left_alone(place: store.Store) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(place.path).rglob("*")}
    assert mending.damage(place) == [] and mending.mend(place) == []
    assert {path: path.stat().st_mtime_ns for path in Path(place.path).rglob("*")} == before


def test_a_lost_receipt_is_written_again(place: store.Store) -> None:
    path = Path(place.at("receipts.jsonl"))
    path.write_bytes(path.read_bytes()[:50])
    assert mending.damage(place)[0] == f"{path}: line 1 is torn or was changed"
    assert mending.mend(place) == ["the receipt of CONFIRMED was lost: written again"]
    assert mending.damage(place) == []
    entry = receipts.load(str(path))[0][-1]
    assert (entry["nonce"], entry["epoch"], entry["detail"]) == ("n1", 3, "written again from its record")


def test_a_torn_final_record_comes_back_from_the_receipts(place: store.Store) -> None:
    path = Path(place.at("confirmed.json"))
    path.write_bytes(path.read_bytes()[:50])
    assert mending.damage(place) == [f"{path} is torn"]
    assert mending.mend(place) == [f"{path} was torn: written again from the receipts"]
    assert place.record("confirmed")["nonce"] == "n1" and mending.damage(place) == []


def test_an_active_that_names_nothing_is_what_was_confirmed(place: store.Store) -> None:
    digest = place.active()
    place.set_active("0" * 64)
    assert mending.damage(place) == [f"{place.at('active')} names no generation"]
    assert mending.mend(place)[0].endswith("it names the generation that was confirmed")
    assert place.active() == digest


def test_an_active_that_is_lost_is_what_was_confirmed(place: store.Store) -> None:
    digest = place.active()
    place.set_active("")
    assert mending.damage(place) == [f"{place.at('active')} is lost"]
    assert mending.mend(place) == [
        f"{place.at('active')} was lost: it names the generation that was confirmed"
    ]
    assert place.active() == digest and mending.damage(place) == []


@pytest.mark.parametrize("text", ["\0" * 65, "..", "x" * 5000, "\xff\n"])
def test_an_active_of_odd_content_is_what_was_confirmed(place: store.Store, text: str) -> None:
    digest = place.active()
    Path(place.at("active")).write_text(text)
    assert mending.damage(place) == [f"{place.at('active')} names no generation"]
    assert mending.mend(place)[0].endswith("it names the generation that was confirmed")
    assert place.active() == digest


@pytest.mark.parametrize("active", ["there", "lost"])
def test_a_generation_that_is_lost_is_written_again_where_it_is_wished(
    place: store.Store, active: str
) -> None:
    shutil.rmtree(place.generation(place.active()))
    if active == "lost":
        place.set_active("")
    told = mending.mend(place, bundles.parse(data()))
    assert told[0] == f"the generation {data()['digest'][:12]} was lost: written again"
    assert place.active() == data()["digest"] and mending.damage(place) == []


def test_a_generation_that_is_lost_and_is_not_wished_is_said(place: store.Store) -> None:
    shutil.rmtree(place.generation(place.active()))
    with pytest.raises(
        HostError, match="which was confirmed, is not there any more. Apply that version once more"
    ):
        mending.mend(place, bundles.parse(data(mode="audit")))


def test_no_active_while_a_removal_is_under_way_is_no_damage(place: store.Store) -> None:
    place.set_active("")
    place.write_pending({"from": data()["digest"], "to": "", "nonce": "n2"})
    assert not mending.misnamed(place)


def test_an_active_that_nobody_can_tell_is_said(place: store.Store) -> None:
    place.set_active("0" * 64)
    Path(place.at("confirmed.json")).unlink()
    with pytest.raises(HostError, match="names no generation, and no receipt tells"):
        mending.mend(place)
