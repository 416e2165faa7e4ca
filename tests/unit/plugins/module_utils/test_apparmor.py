# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the kernel, from files of the shape that it gives; tests/lab/test_apparmor.py asks a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from host_fixtures import data

from ansible_collections.bulkhead.fleet.plugins.module_utils import apparmor, bundles, plan, units

LABEL = {
    "clause": "c",
    "kind": "process_label",
    "key": "apparmor",
    "value": "bulkhead.web (enforce)",
    "unit": "",
}
LOADER = "bulkhead-apparmor-web.service"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(apparmor, "KERNEL", str(tmp_path / "kernel"))
    monkeypatch.setattr(apparmor, "PROC", str(tmp_path / "proc"))
    monkeypatch.setattr(apparmor, "CACHE", str(tmp_path / "cache"))
    (tmp_path / "kernel").mkdir()
    (tmp_path / "proc/7/attr/apparmor").mkdir(parents=True)
    (tmp_path / "kernel/profiles").write_text(
        "/usr/bin/man (enforce)\nbulkhead.web (enforce)\nx y (z) (complain)\n"
    )
    (tmp_path / "proc/7/attr/apparmor/current").write_text("bulkhead.web (enforce)\n")
    return tmp_path


def bundle(**changes: Any) -> bundles.Bundle:
    artifact = {
        "path": "/etc/apparmor.d/bulkhead.web", "kind": "apparmor", "unit": LOADER, "content": "x\n",
        "mode": "0644", "owner": "root", "group": "root",
    }  # fmt: skip
    return bundles.parse(data(artifacts=[artifact], units=[LOADER], readbacks=[LABEL], **changes))


def test_profiles_and_their_modes(kernel: Path) -> None:
    assert apparmor.loaded() == {"/usr/bin/man": "enforce", "bulkhead.web": "enforce", "x y (z)": "complain"}


def test_no_apparmor_is_no_profile_and_no_label(kernel: Path) -> None:
    (kernel / "kernel/profiles").unlink()
    assert apparmor.loaded() == {} and apparmor.label(0) == apparmor.label(8) == ""


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ("bulkhead.web (enforce)\n", []),
        ("bulkhead.webs (enforce)\n", [("bulkhead.web", "the AppArmor profile is not loaded")]),
        ("bulkhead.web (complain)\n", [("bulkhead.web", "the AppArmor profile is in complain mode")]),
    ],
)
def test_drift_of_the_kernel(kernel: Path, held: str, why: list[tuple[str, str]]) -> None:
    (kernel / "kernel/profiles").write_text(held)
    assert apparmor.faults(bundle()) == apparmor.faults(bundle(), LOADER) == why
    assert apparmor.faults(bundle(), "other.service") == []


def test_an_application_under_another_profile_is_told(kernel: Path) -> None:
    assert apparmor.wrong_label(bundle(), {"MainPID": "7"}) == ""
    (kernel / "proc/7/attr/apparmor/current").write_text("unconfined\n")
    assert apparmor.wrong_label(bundle(), {"MainPID": "7"}) == (
        "runs as 'unconfined' and not under the AppArmor profile 'bulkhead.web (enforce)'"
    )
    assert apparmor.wrong_label(bundle(), {"MainPID": "0"}) == ""


def test_a_profile_is_forgotten_with_what_was_compiled_of_it(kernel: Path) -> None:
    (kernel / "cache/1a2b.0").mkdir(parents=True)
    for name in ("bulkhead.web", "bulkhead.web2"):
        (kernel / "cache/1a2b.0" / name).write_text("binary")
    apparmor.forget(bundle().artifacts)
    assert (kernel / "kernel/.remove").read_text() == "bulkhead.web"
    assert [path.name for path in (kernel / "cache/1a2b.0").iterdir()] == ["bulkhead.web2"]


@pytest.mark.parametrize(
    "path", ["/etc/apparmor.d/usr.sbin.x", "/etc/apparmor.d/bulkhead.x/y", "/etc/apparmor.d/bulkhead.A"]
)
def test_no_other_profile_can_be_written(path: str) -> None:
    document = data()
    document["artifacts"][0].update(kind="apparmor", path=path)
    with pytest.raises(bundles.HostError, match="is no place for apparmor"):
        bundles.parse(document)


def made(monkeypatch: pytest.MonkeyPatch, new: bundles.Bundle, differs: str = "") -> plan.Plan:
    active = {"ActiveState": "active", "MainPID": "7"}
    monkeypatch.setattr(units, "show", lambda names: dict.fromkeys(names, active))
    monkeypatch.setattr(plan.files, "difference", lambda *_given: differs)
    return plan.make(new, new)


def test_a_whole_profile_asks_for_nothing(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plan.empty(made(monkeypatch, bundle()))


def test_a_changed_profile_is_loaded_and_the_application_starts_with_it(
    kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = made(monkeypatch, bundle(), "content")
    assert (found.reload, found.restart) == ([LOADER], ["web.service"])


def test_a_profile_that_is_gone_is_loaded_and_what_ran_on_unconfined_restarts(
    kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kernel / "kernel/profiles").write_text("")
    (kernel / "proc/7/attr/apparmor/current").write_text("unconfined")
    found = made(monkeypatch, bundle())
    assert (found.write, found.reload, found.restart) == ([], [LOADER], ["web.service"])
    assert found.reasons == [
        "bulkhead.web: the AppArmor profile is not loaded",
        "web.service: runs as 'unconfined' and not under the AppArmor profile 'bulkhead.web (enforce)'",
    ]
