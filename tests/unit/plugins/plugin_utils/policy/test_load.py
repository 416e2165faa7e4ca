# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
from policy_support import CASES, HEAD, WORKLOAD

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import library
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.load import load_policy


def messages(path: str | Path, *search: Path) -> list[str]:
    with pytest.raises(PolicyFaults) as caught:
        load_policy(path, search)
    return [fault.message for fault in caught.value.faults]


def test_baselines_come_nearest_first_and_once(tmp_path: Path) -> None:
    path = tmp_path / "app.yml"
    path.write_text(HEAD + WORKLOAD + "extends: [network-daemon, local-daemon]\n", encoding="utf-8")
    assert [one.name for one in load_policy(path).baselines] == ["network-daemon", "local-daemon"]


def test_every_shipped_policy_and_baseline_loads() -> None:
    shipped = sorted(library.OWN.glob("*.yml"))
    assert shipped
    for path in shipped:
        assert load_policy(path).name == path.stem
        assert path.read_text(encoding="utf-8").startswith(
            "# yaml-language-server: $schema=schema/policy.schema.json\n"
        )


def test_a_missing_file() -> None:
    assert messages("/nowhere/app.yml") == ["there is no policy file '/nowhere/app.yml'."]


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "app.yml").mkdir()
    assert messages("app", tmp_path)[0] == "there is no policy 'app'."


def test_a_missing_baseline(tmp_path: Path) -> None:
    path = tmp_path / "app.yml"
    path.write_text(HEAD + WORKLOAD + "extends: [network-deamon]\n", encoding="utf-8")
    assert messages(path) == ["there is no baseline 'network-deamon'."]


def test_a_chain_of_baselines_has_an_end(tmp_path: Path) -> None:
    folder = tmp_path / "baselines"
    folder.mkdir()
    for number in range(12):
        text = f"schema: 1\nbaseline: b{number}\nextends: [b{number + 1}]\n"
        (folder / f"b{number}.yml").write_text(text, encoding="utf-8")
    path = tmp_path / "app.yml"
    path.write_text(HEAD + WORKLOAD + "extends: [b0]\n", encoding="utf-8")
    assert messages(path) == ["more than 8 baselines in a row."]


def test_a_cycle_that_is_reached_from_two_sides() -> None:
    path = CASES / "cyclic_baselines.refused.yml"
    assert messages(path) == ["the baseline 'ring-one' extends itself: ring-one -> ring-two -> ring-one."]


def test_a_policy_found_by_name_has_that_name(tmp_path: Path) -> None:
    (tmp_path / "other.yml").write_text(HEAD + WORKLOAD, encoding="utf-8")
    assert messages("other", tmp_path) == ["the file 'other.yml' holds the policy 'app'."]


def test_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "app.yml"
    path.write_bytes(b"# padding\n" * 1_000_000)
    assert messages(path) == ["the file is larger than 256 KiB, which end here."]
