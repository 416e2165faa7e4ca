# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils import render
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import (
    BackendError,
    Status,
    Verdict,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve

TODAY = date(2026, 11, 24)


def bundle(system: str) -> Bundle:
    manifest = load_and_resolve("nginx", today=TODAY)
    return compile_bundle(manifest, render.reference(system, manifest), TODAY)


def test_every_clause_and_every_artifact_is_written() -> None:
    made = bundle("debian12")
    wanted = render.files(made)
    assert "files/etc/systemd/system/nginx.service.d/zz-bulkhead.conf" in wanted
    assert len([name for name in wanted if name.startswith("files/")]) == len(made.artifacts)
    written = json.loads(wanted["verdicts.json"])
    assert [v["clause"] for v in written] == [v.clause for v in made.verdicts]
    assert json.loads(wanted["bundle.json"])["digest"] == made.digest


@pytest.mark.parametrize(
    ("system", "os"), [("linux", OS.LINUX), ("windows", OS.WINDOWS), ("macos", OS.MACOS)]
)
def test_the_name_of_an_operating_system_stands_for_a_reference(system: str, os: OS) -> None:
    assert bundle(system).os is os


def test_an_unknown_system_is_named_with_the_known_ones() -> None:
    with pytest.raises(BackendError, match="'solaris'.*debian12"):
        bundle("solaris")


def test_a_drive_becomes_a_folder() -> None:
    assert render.relative("C:\\ProgramData\\Bulkhead\\x.json", OS.WINDOWS) == "C/ProgramData/Bulkhead/x.json"


@pytest.mark.parametrize("path", ["/etc/../../x", "/", ""])
def test_an_artifact_cannot_leave_the_folder(path: str) -> None:
    with pytest.raises(render.RenderError, match="does not lie below a root"):
        render.relative(path, OS.LINUX)


def test_writing_again_changes_nothing_and_what_is_gone_is_removed(tmp_path: Path) -> None:
    wanted = {"files/a": b"1", "files/sub/b": b"2"}
    assert render.write(tmp_path / "h", wanted) == ["files/a", "files/sub/b"]
    before = (tmp_path / "h/files/a").stat().st_mtime_ns
    assert render.write(tmp_path / "h", wanted) == []
    assert (tmp_path / "h/files/a").stat().st_mtime_ns == before
    assert render.write(tmp_path / "h", {"files/a": b"1"}) == ["files/sub/b"]
    assert not (tmp_path / "h/files/sub/b").exists()


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    assert render.write(tmp_path / "h", {"a": b"1"}, check=True) == ["a"]
    assert not (tmp_path / "h").exists()


def test_the_table_begins_with_the_worst_and_ends_with_the_counts() -> None:
    made = bundle("debian12")
    verdicts = (*made.verdicts, Verdict("a.b", Status.REFUSED, (), "no mechanism"))
    lines = render.table(replace(made, verdicts=verdicts))
    assert lines[0].split()[:2] == ["refused", "a.b"]
    assert lines[-1].startswith(f"{len(verdicts)} clauses: 1 refused, ")


def test_text_of_a_policy_stays_in_its_cell() -> None:
    made = replace(bundle("debian12"), verdicts=(Verdict("x|y\n| z |", Status.PARTIAL, (), "<script>"),))
    row = render.markdown(made)[-1]
    assert row == "| partial | x\\|y \\| z \\| | &lt;script> |"
