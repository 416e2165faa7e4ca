# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from host_fixtures import bundle, data, state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles, files, store
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError


def test_a_staged_generation_is_whole_and_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    place.stage(bundles.parse(data()))
    digest = data()["digest"]
    assert place.fault(digest) == ""
    loaded = place.load(digest)
    assert loaded.unit == "web.service" and loaded.digest == digest
    for path in Path(place.path).rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_damaged_generation_is_named_and_staged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = state_below(monkeypatch, tmp_path)
    parsed = bundles.parse(data())
    place.stage(parsed)
    Path(place.generation(parsed.digest), "files", "0").write_text("other")
    bad = Path(place.generation(parsed.digest), "files", "0")
    expected = f"generation {parsed.digest[:12]} is damaged: {bad} is not what was written"
    assert place.fault(parsed.digest) == expected
    place.stage(parsed)
    assert place.fault(parsed.digest) == ""


def test_a_missing_generation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    assert place.fault("a" * 64) == "generation aaaaaaaaaaaa is not there"
    assert place.load("a" * 64) is None
    assert place.load("") is None


def test_only_what_we_made_is_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    place.stage(bundles.parse(data()))
    shutil.copytree(place.path, place.path + ".bak")
    for name in ("lost+found", "empty", ".web.gone", "notes/deep"):
        Path(store.BASE, name).mkdir(parents=True)
    Path(store.BASE, "link").symlink_to(place.path)
    Path(store.BASE, "guard").write_text("")
    assert store.policies() == ["web"]
    Path(place.generation(data()["digest"]), "bundle.json").write_text("[]")
    assert store.policies() == ["web"]


def test_confirming_is_one_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    place.write_pending({"nonce": "n", "to": "a"})
    place.confirm()
    assert place.record("pending") == {}
    assert place.record("confirmed") == {"nonce": "n", "to": "a"}


def test_a_torn_record_reads_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    Path(place.at("pending.json")).write_text('{"nonce": "n')
    assert place.record("pending") == {}


def test_the_lock_keeps_a_second_run_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    with place.lock():
        place.sign()
        assert Path(place.at("lock")).read_text() == f"{os.getpid()}\n"
        with (
            pytest.raises(HostError, match="another run holds the lock of policy web."),
            store.Store("web").lock(wait=0.2),
        ):
            pass
    with store.Store("web").lock(wait=0.2):
        pass


def test_taking_the_lock_leaves_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    with place.lock():
        pass
    os.utime(place.at("lock"), ns=(1, 1))
    with place.lock():
        pass
    assert Path(place.at("lock")).stat().st_mtime_ns == 1


def test_a_generation_is_there_while_it_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, parsed = state_below(monkeypatch, tmp_path), bundles.parse(data())
    place.stage(parsed)
    Path(place.generation(parsed.digest), "files", "0").write_text("other")
    renamed = os.rename
    seen = []

    def watched(source: str, target: str) -> None:
        seen.append(Path(place.generation(parsed.digest)).is_dir() or Path(target + ".old").is_dir())
        renamed(source, target)

    monkeypatch.setattr(os, "rename", watched)
    place.stage(parsed)
    assert seen == [True, True] and place.generations() == [parsed.digest]
    assert [path.name for path in Path(place.at("generations")).iterdir()] == [parsed.digest]


def test_generations_that_changed_places_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    one, other = bundles.parse(data()), bundles.parse(data(mode="audit"))
    for each in (one, other):
        place.stage(each)
    aside = place.at("aside")
    for source, target in (
        (place.generation(one.digest), aside),
        (place.generation(other.digest), place.generation(one.digest)),
        (aside, place.generation(other.digest)),
    ):
        Path(source).rename(target)
    for each in (one, other):
        assert place.fault(each.digest).endswith(f"{place.generation(each.digest)} is that of another")
        with pytest.raises(HostError, match="Apply the same version once more"):
            place.load(each.digest)
        place.stage(each)
        assert place.fault(each.digest) == "" and place.load(each.digest).mode == each.mode


@pytest.mark.parametrize("content", ["[]", "{}", '"x"', '{"policy": "web"}', "\0"])
def test_a_bundle_of_another_shape_is_told_and_staged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    place, parsed = state_below(monkeypatch, tmp_path), bundles.parse(data())
    place.stage(parsed)
    folder = Path(place.generation(parsed.digest))
    (folder / "bundle.json").write_text(content)
    sums = (folder / "sums").read_text().splitlines()[1:]
    sums = [f"{files.sha256(content.encode())}  bundle.json" if "bundle" in line else line for line in sums]
    (folder / "sums").write_text(store.sealed("\n".join(sums) + "\n"))
    assert "bundle.json is not what this version reads" in place.fault(parsed.digest)
    with pytest.raises(HostError, match="is not what this version reads"):
        place.load(parsed.digest)
    place.stage(parsed)
    assert place.load(parsed.digest).digest == parsed.digest


@pytest.mark.parametrize("epoch", ["abc", None, [], 1.5, -3])
def test_an_odd_epoch_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: object) -> None:
    place = state_below(monkeypatch, tmp_path)
    place.write_pending({"epoch": epoch})
    assert place.epoch() == 0


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    (tmp_path / "precious").write_text("precious")
    Path(place.at("lock")).symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), place.lock():
        place.sign()
    assert (tmp_path / "precious").read_text() == "precious"


def test_who_waits_behind_a_removal_is_told_and_makes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = state_below(monkeypatch, tmp_path)
    other = store.Store("web")

    def removed(_seconds: float) -> None:
        place.vanish()

    monkeypatch.setattr(store.time, "sleep", removed)
    with place.lock(), pytest.raises(store.Gone, match="was removed from this host meanwhile"), other.lock():
        pass
    assert list(Path(store.BASE).iterdir()) == []


def test_who_holds_the_lock_may_take_it_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    with place.lock():
        with place.lock():
            pass
        assert place.lock_descriptors()
        with pytest.raises(HostError, match="another run holds"), store.Store("web").lock(0.0):
            pass


def test_the_receipts_keep_the_epoch_that_a_lost_record_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = state_below(monkeypatch, tmp_path)
    place.receipt("REVERTED", epoch=9)
    place.write_pending({"epoch": 5, "nonce": "n"})
    assert place.epoch() == 9


def test_who_takes_back_a_torn_change_leaves_his_epoch_in_the_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = state_below(monkeypatch, tmp_path)
    Path(place.at("pending.json")).write_text("{")
    place.note_epoch({**place.open_change(), "epoch": 8})
    assert place.epoch() == 8


def test_old_generations_go_and_named_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    for number, letter in enumerate("abcdef"):
        place.stage(bundle(tmp_path, {"a.conf": letter}, letter))
        os.utime(place.generation(letter * 64), (number, number))
    place.prune({"a" * 64})
    assert sorted(path.name[0] for path in Path(place.at("generations")).iterdir()) == ["a", "d", "e", "f"]


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "x" * 65, "-x"])
def test_names_that_are_no_directory_of_ours(name: str) -> None:
    with pytest.raises(HostError, match="is no policy name"):
        store.Store(name)


def test_the_epoch_of_a_torn_record_is_in_the_receipts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = state_below(monkeypatch, tmp_path)
    place.write_pending({"epoch": 7, "nonce": "n"})
    place.receipt("APPLYING", epoch=7)
    assert place.epoch() == 7
    Path(place.at("pending.json")).write_text('{"sum": "0')
    assert place.epoch() == 7


def test_who_takes_a_change_back_leaves_his_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = state_below(monkeypatch, tmp_path)
    place.write_pending({"epoch": 5, "nonce": "n", "phase": "pending"})
    place.note_epoch({**place.record("pending"), "epoch": 6})
    assert place.record("pending") == {"epoch": 6, "nonce": "n", "phase": "pending"}
    assert place.epoch() == 6
