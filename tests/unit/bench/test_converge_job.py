# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor's script is run by a real shell on files below a folder."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from converge_job import File, Job, from_bundle, lay_out, script

HEAD = (Path(__file__).resolve().parents[3] / "tests/bench/ways/floor_host.sh").read_text()
# What would act on this machine only says so.
HARMLESS = "restart() { echo restart; }\nhealth() { echo health; }\nsystemctl() { echo systemctl; }\n"


def job(folder: Path) -> Job:
    return Job("d", (File(f"{folder}/etc/one", "0640", b"a $b `c` \\ 'd'\n\n"),), ())


def act(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr("converge_job.KEPT", f"{folder}/kept")
    text = script(job(folder), name, HEAD.replace("/run/", f"{folder}/") + HARMLESS)
    return subprocess.run(["sh"], input=text, capture_output=True, text=True, check=True).stdout.split()


def test_the_floor_writes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert act(tmp_path, "first", monkeypatch) == ["restart", "health"]
    path = tmp_path / "etc/one"
    assert path.read_bytes() == job(tmp_path).installed[0].content and path.stat().st_mode & 0o777 == 0o640
    before = path.stat().st_mtime_ns
    assert act(tmp_path, "no_change", monkeypatch) == ["health"]
    assert path.stat().st_mtime_ns == before
    assert act(tmp_path, "rollback", monkeypatch) == ["systemctl", "restart", "health"]
    assert not path.exists()


def test_what_no_here_document_carries_is_refused() -> None:
    with pytest.raises(ValueError, match="/x does not fit"):
        script(Job("d", (File("/x", "0644", b"no newline"),), ()), "first", HEAD)


def test_a_job_is_what_a_bundle_installs_and_a_copy_of_it(tmp_path: Path) -> None:
    made = from_bundle({"digest": "d", "artifacts": [{"path": "/etc/x", "mode": "0644", "content": "x\n"}]})
    assert [one.path for one in made.files] == [
        "/var/lib/bench/files/0",
        "/var/lib/bench/manifest.json",
        "/etc/x",
    ]
    listed = json.loads(lay_out(made, tmp_path).read_text())["job"]
    assert listed["folders"] == ["/etc", "/var/lib/bench", "/var/lib/bench/files"]
    assert Path(listed["files"][2]["source"]).read_bytes() == b"x\n"
