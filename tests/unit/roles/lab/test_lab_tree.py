# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from bulkhead_lab import labify, tree
from bulkhead_lab.settings import Lab, LabError


def test_the_cache_key_ignores_the_order_of_packages(lab: Lab) -> None:
    turned = replace(lab, packages=tuple(reversed(lab.packages)))
    assert tree.tar_path(lab, "bookworm") == tree.tar_path(turned, "bookworm")


def test_the_cache_key_knows_suite_and_packages(lab: Lab) -> None:
    fewer = replace(lab, packages=("curl",))
    paths = {tree.tar_path(lab, "bookworm"), tree.tar_path(lab, "trixie"), tree.tar_path(fewer, "bookworm")}
    assert len(paths) == 3


def test_the_command_installs_base_and_applications(lab: Lab) -> None:
    words = tree.command(lab, "trixie", Path("/out.tar"), "ARCHIVE")
    include = next(word for word in words if word.startswith("--include=")).partition("=")[2].split(",")
    assert {*tree.BASE_PACKAGES, "nginx-light", "postgresql", "redis-server", "curl"} == set(include)
    assert words[-3:] == ["trixie", "/out.tar", "ARCHIVE"]
    assert not any("path-exclude" in word for word in words)


def test_downloads_leave_the_tree_before_it_is_packed(lab: Lab) -> None:
    hooks = [word for word in tree.command(lab, "trixie", Path("/o"), "A") if word.startswith("--customize")]
    assert "sync-out" in hooks[0]
    assert "archives/*.deb" in hooks[1]


def test_an_unknown_suite_is_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"The lab has no suite 'buzz'\.") as caught:
        tree.build(lab, "buzz")
    assert caught.value.help_text == "Suites: bullseye, bookworm, trixie, sid."


def test_the_archive_proper_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = "a://s/ bookworm-security main\na://u/ bookworm-updates main\na://m/ bookworm main\n"
    monkeypatch.setattr(tree, "run", lambda argv: answer)
    assert tree.mirror() == "a://m/"


def test_a_machine_without_archive_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "run", lambda argv: "")
    with pytest.raises(LabError, match="apt on this machine knows no Debian archive to build hosts from"):
        tree.mirror()


def test_masked_units_are_names_of_units() -> None:
    units = labify.listed("masked-units")
    assert len(units) == len(set(units)) > 30
    assert all(
        unit.rpartition(".")[2] in ("service", "timer", "socket", "mount", "automount", "path")
        for unit in units
    )
    assert not {"ssh.service", "apparmor.service", "nftables.service"} & set(units)
