# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two units that systemd-analyze security scores alike, one of which may write everywhere, get different verdicts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from linux_support import TODAY, UNIT, content, host, manifest, path, values
from parsers import systemd_analyze

from ansible_collections.bulkhead.fleet.plugins.module_utils import readback
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import systemd
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

CLAUSES = (m.WriteClosure("filesystem.write"), m.ReadClosure("filesystem.read"))
EVERYTHING = m.Write("filesystem.write[/]", path=path("/"))
OVERRIDE = m.Override("overrides.linux.systemd.ReadWritePaths", m.OS.LINUX, "systemd", "ReadWritePaths", "/")
LATER = f"/etc/systemd/system/{UNIT}.d/zzz-open.conf"


def verdicts(policy: m.Manifest, **facts: object) -> dict[str, Status]:
    made = compile_bundle(policy, host(**facts), TODAY)  # type: ignore[arg-type]
    return {verdict.clause: verdict.status for verdict in made.verdicts}


def score(folder: Path, dropin: str) -> str:
    """What the tool of this machine says of the unit with this drop-in."""
    (folder / f"{UNIT}.d").mkdir(parents=True)
    unit = folder / UNIT
    unit.write_text("[Unit]\nDescription=demo\n[Service]\nType=simple\nExecStart=/bin/true\n")
    (folder / f"{UNIT}.d/zz-bulkhead.conf").write_text(dropin)
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)],
        capture_output=True,
        text=True,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        check=False,
    )
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return found[1]


@systemd_analyze
def test_systemd_scores_both_alike(tmp_path: Path) -> None:
    """Without this the other tests would say nothing: the tool really does not see the difference."""
    closed = content(systemd.compile(manifest(*CLAUSES), host()), "zz-bulkhead.conf")
    opened = closed.replace("\nReadWritePaths=\n", "\nReadWritePaths=\nReadWritePaths=/\n")
    assert opened != closed
    assert score(tmp_path / "closed", closed) == score(tmp_path / "opened", opened)
    assert score(tmp_path / "bare", "") != score(tmp_path / "again", closed)


def test_a_policy_that_opens_everything_does_not_have_its_writes_enforced() -> None:
    assert verdicts(manifest(*CLAUSES))["filesystem.write"] is Status.ENFORCED
    made = compile_bundle(manifest(*CLAUSES, EVERYTHING), host(), TODAY)
    (said,) = [verdict for verdict in made.verdicts if verdict.clause == "filesystem.write"]
    assert (said.status, said.detail) == (Status.PARTIAL, "filesystem.write[/] opens all of the file system")


def test_an_override_that_opens_everything_is_refused_and_not_written() -> None:
    policy = manifest(*CLAUSES, overrides=(OVERRIDE,))
    assert verdicts(policy)[OVERRIDE.id] is Status.REFUSED
    assert values(systemd.compile(policy, host()), "ReadWritePaths") == []


def test_a_drop_in_behind_ours_that_opens_everything_refuses_the_unit() -> None:
    unit = {**host().data["unit"], "dropins": [LATER], "service": {"ReadWritePaths": ["/"]}}
    with pytest.raises(BackendError, match="it could undo any clause"):
        verdicts(manifest(*CLAUSES), unit=unit)


def test_what_the_vendor_opened_is_closed_again() -> None:
    """There the units are the same in the end, and so are the verdicts."""
    vendor = host(service={"ReadWritePaths": ["/"]})
    made = systemd.compile(manifest(*CLAUSES), vendor)
    assert "\nReadWritePaths=\n" in content(made, "zz-bulkhead.conf")
    assert values(made, "ReadWritePaths") == []


@pytest.mark.parametrize(("options", "ok"), [(["ro", "nosuid"], True), (["rw", "nosuid"], False)])
def test_the_read_back_tells_the_running_units_apart(options: list[str], ok: bool) -> None:
    """However it came about: the mount of a process that may write everywhere is not read-only."""

    class Facts:
        def load(self, wanted: object) -> None: ...

        def main_pid(self, unit: str) -> int:
            return 1

        def mount_options(self, pid: int, where: str) -> list[str]:
            return options if where == "/" else ["ro"]

    made = compile_bundle(manifest(*CLAUSES), host(), TODAY).to_data()["readbacks"]
    mounts = [
        one
        for one in made
        if one["kind"] == "mount_option" and (one["key"], one["clause"]) == ("/", "filesystem.write")
    ]
    assert [one["ok"] for one in readback.evaluate(mounts, Facts(), UNIT)] == [ok]


def test_the_read_back_does_not_ask_of_an_open_policy_what_it_does_not_say() -> None:
    made = compile_bundle(manifest(*CLAUSES, EVERYTHING), host(), TODAY)
    assert not [
        one for one in made.readbacks if one.kind == "mount_option" and one.key == "/" and one.value == "ro"
    ]
