# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the kernel, from files of the shape that it gives; tests/lab/test_apparmor.py asks a real one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from host_fixtures import data

from ansible_collections.bulkhead.fleet.plugins.module_utils import apparmor, bundles, drift, plan, units

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


@pytest.fixture
def hashed(kernel: Path) -> Path:
    """The kernel's folders of three profiles, one with a child, one whose name begins alike."""
    places = {
        "bulkhead.web.3": ("bulkhead.web", "aa"),
        "bulkhead.web.3/profiles/tool.4": ("bulkhead.web//tool", "bb"),
        "bulkhead.web.2.5": ("bulkhead.web.2", "cc"),
    }
    for place, (name, text) in places.items():
        folder = kernel / "kernel/policy/profiles" / place
        folder.mkdir(parents=True)
        (folder / "name").write_text(name + "\n")
        (folder / "sha256").write_text(text + "\n")
    return kernel / "kernel/policy/profiles"


def test_the_kernels_hashes_of_a_profile_and_of_those_inside_of_it(hashed: Path) -> None:
    assert apparmor.hashes("bulkhead.web") == {"bulkhead.web": "aa", "bulkhead.web//tool": "bb"}
    (hashed / "bulkhead.web.3/sha256").rename(hashed / "bulkhead.web.3/sha1")  # kernels before 6.8
    assert apparmor.hashes("bulkhead.web")["bulkhead.web"] == "aa"
    assert apparmor.hashes("bulkhead") == apparmor.hashes("bulkhead.we") == {}


@pytest.mark.parametrize("changed", ["bulkhead.web.3", "bulkhead.web.3/profiles/tool.4"])
def test_a_profile_that_somebody_replaced_is_told_and_loaded_again(
    hashed: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    seen = {"profiles": apparmor.remember(bundle())}
    assert apparmor.faults(bundle(), LOADER, seen) == [] and plan.empty(
        made(monkeypatch, bundle(), seen=seen)
    )
    (hashed / changed / "sha256").write_text("dd\n")
    why = [("bulkhead.web", "the AppArmor profile in the kernel is not the one that was loaded")]
    assert apparmor.faults(bundle(), LOADER, seen) == why
    assert apparmor.faults(bundle(), LOADER) == []  # nobody remembers what was loaded
    (found,) = drift.of_profiles(bundle(), {"MainPID": "7"}, seen)
    assert (found["what"], found["why"], found["repair"]) == (*why[0], "reload")
    assert made(monkeypatch, bundle(), seen=seen).reload == [LOADER]


def test_a_component_that_somebody_took_out_is_told(hashed: Path) -> None:
    seen = {"profiles": apparmor.remember(bundle())}
    (hashed / "bulkhead.web.3/profiles/tool.4/name").write_text("bulkhead.other\n")
    assert len(apparmor.faults(bundle(), "", seen)) == 1


@pytest.mark.parametrize("what", ["parser", "kernel", "profile"])
def test_what_was_compiled_otherwise_cannot_be_compared(
    hashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    (tmp_path / "apparmor_parser").write_text("1")
    monkeypatch.setattr(apparmor, "PARSERS", (str(tmp_path / "none"), str(tmp_path / "apparmor_parser")))
    seen = {"profiles": apparmor.remember(bundle())}
    (hashed / "bulkhead.web.3/sha256").write_text("dd\n")
    assert apparmor.faults(bundle(), "", seen)
    given = bundle()
    if what == "parser":
        (tmp_path / "apparmor_parser").write_text("22")
    elif what == "kernel":
        other = os.uname_result(("Linux", "host", "9.9.9", "#1", "x86_64"))
        monkeypatch.setattr(apparmor.os, "uname", lambda: other)
    else:
        given = given._replace(artifacts=[given.artifacts[0]._replace(content=b"y\n")])
    assert apparmor.faults(given, "", seen) == []


def test_what_shows_no_hash_and_what_is_open_for_debugging_is_not_compared(
    hashed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {"profiles": apparmor.remember(bundle())}
    (hashed / "bulkhead.web.3/sha256").write_text("dd\n")
    monkeypatch.setattr(apparmor.overlay_state, "HOME", str(tmp_path / "debug"))
    (tmp_path / "debug/web").mkdir(parents=True)
    (tmp_path / "debug/web/profile").write_text("/etc/apparmor.d/bulkhead.web\n")
    assert apparmor.faults(bundle(), "", seen) == []
    (tmp_path / "debug/web/profile").unlink()
    assert apparmor.faults(bundle(), "", seen)
    for place in hashed.rglob("sha256"):
        place.unlink()
    assert apparmor.faults(bundle(), "", seen) == [] and apparmor.remember(bundle()) == {}


def test_an_application_under_another_profile_is_told(kernel: Path) -> None:
    assert apparmor.wrong_label(bundle(), {"MainPID": "7"}) == ""
    (kernel / "proc/7/attr/apparmor/current").write_text("unconfined\n")
    assert apparmor.wrong_label(bundle(), {"MainPID": "7"}) == (
        "runs as 'unconfined' and not under the AppArmor profile 'bulkhead.web (enforce)'"
    )
    assert apparmor.wrong_label(bundle(), {"MainPID": "0"}) == ""


def test_a_process_that_has_not_run_its_program_yet_gets_the_time(
    kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current = kernel / "proc/7/attr/apparmor/current"
    ours = current.read_text()
    current.write_text("unconfined\n")
    monkeypatch.setattr(apparmor.time, "sleep", lambda _seconds: current.write_text(ours))
    assert apparmor.wrong_label(bundle(), {"MainPID": "7"}, 5.0) == ""


def test_a_profile_that_stays_is_told(kernel: Path) -> None:
    (kernel / "kernel/.remove").mkdir()
    assert apparmor.forget(bundle().artifacts) == [
        "the AppArmor profile bulkhead.web stays (Is a directory)."
    ]


def test_a_profile_is_forgotten_with_what_was_compiled_of_it(kernel: Path) -> None:
    (kernel / "cache/1a2b.0").mkdir(parents=True)
    for name in ("bulkhead.web", "bulkhead.web2"):
        (kernel / "cache/1a2b.0" / name).write_text("binary")
    assert apparmor.forget(bundle().artifacts) == []
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


def made(
    monkeypatch: pytest.MonkeyPatch,
    new: bundles.Bundle,
    differs: str = "",
    seen: dict[str, Any] | None = None,
) -> plan.Plan:
    active = {"ActiveState": "active", "MainPID": "7"}
    monkeypatch.setattr(units, "show", lambda names, extra=(): dict.fromkeys(names, active))
    monkeypatch.setattr(plan.files, "difference", lambda *_given: differs)
    return plan.make(new, new, seen=seen)


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
