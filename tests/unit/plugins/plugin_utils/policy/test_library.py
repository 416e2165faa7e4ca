# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import library
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import Refusal


def write(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.yml"
    path.write_text("schema: 1\n", encoding="utf-8")
    return path


def test_own_policies_come_last(tmp_path: Path) -> None:
    assert library.find("nginx") == library.OWN / "nginx.yml"
    mine = write(tmp_path, "nginx")
    assert library.find("nginx", [tmp_path]) == mine


def test_an_explicit_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert library.find(write(tmp_path, "other")) == tmp_path / "other.yml"


def test_never_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "lying-around")
    write(tmp_path / "policies", "lying-around")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refusal, match="there is no policy 'lying-around'"):
        library.find("lying-around")


def test_a_misspelt_name(tmp_path: Path) -> None:
    write(tmp_path / "baselines", "network-daemon")
    with pytest.raises(Refusal) as caught:
        library.find_baseline("network-deamon", [tmp_path])
    assert caught.value.message == "there is no baseline 'network-deamon'."
    assert caught.value.help_text.startswith("did you mean 'network-daemon'")


@pytest.mark.parametrize("name", ["", "Nginx", "a b", "..", "-a", "a" * 49])
def test_names_are_strict(name: str) -> None:
    with pytest.raises(Refusal, match="is no name of a policy"):
        library.find(name)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="there is no policy file"):
        library.find(tmp_path / "none.yml")


def test_a_name_that_is_too_long_for_any_file_is_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="there is no policy file"):
        library.find(tmp_path / f"{'a' * 300}.yml")
    with pytest.raises(Refusal, match="there is no policy 'none'"):
        library.find("none", [tmp_path / ("a" * 300)])


@pytest.mark.parametrize("name", ["../etc/passwd", "a/../b"])
def test_a_baseline_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(Refusal, match="is no name of a baseline"):
        library.find_baseline(name)
