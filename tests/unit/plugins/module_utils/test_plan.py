# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from host_fixtures import bundle

from ansible_collections.bulkhead.fleet.plugins.module_utils import files, plan, units
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

OLD = {
    "web.service.d/zz-bulkhead.conf": "old\n",
    "bulkhead-web.slice": "s\n",
    "bulkhead-net-web.service": "n\n",
}
OWN = ("bulkhead-web.slice", "bulkhead-net-web.service")


@pytest.fixture
def active(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """State by unit, "active" where nothing else is said."""
    states: dict[str, str] = {}
    monkeypatch.setattr(
        units,
        "show",
        lambda names, extra=(): {name: {"ActiveState": states.get(name, "active")} for name in names},
    )
    return states


def installed(root: Path, texts: dict[str, str], units_: tuple[str, ...] = OWN) -> Any:
    found = bundle(root, texts, "a", units_)
    for item in found.artifacts:
        Path(item.path).parent.mkdir(parents=True, exist_ok=True)
        files.write(item.path, item.content, item.mode, os.getuid(), os.getgid())
    return found


def test_nothing_to_do(tmp_path: Path, active: dict[str, str]) -> None:
    old = installed(tmp_path, OLD)
    assert plan.empty(plan.make(old, bundle(tmp_path, OLD, "b", OWN)))


def test_a_changed_dropin_restarts_the_application_once(tmp_path: Path, active: dict[str, str]) -> None:
    new = bundle(tmp_path, {**OLD, "web.service.d/zz-bulkhead.conf": "new\n"}, "b", OWN)
    made = plan.make(installed(tmp_path, OLD), new)
    assert [Path(item.path).name for item in made.write] == ["zz-bulkhead.conf"]
    assert made.restart == ["web.service"] and made.reload == [] and made.stop == []
    assert made.reasons == [f"{tmp_path}/web.service.d/zz-bulkhead.conf: content"]


@pytest.mark.parametrize("state", ["inactive", "failed"])
def test_a_stopped_application_stays_stopped(tmp_path: Path, active: dict[str, str], state: str) -> None:
    active["web.service"] = state
    new = bundle(tmp_path, {**OLD, "web.service.d/zz-bulkhead.conf": "new\n"}, "b", OWN)
    assert plan.make(installed(tmp_path, OLD), new).restart == []


def test_restart_can_be_switched_off(tmp_path: Path, active: dict[str, str]) -> None:
    new = bundle(tmp_path, {**OLD, "web.service.d/zz-bulkhead.conf": "new\n"}, "b", OWN)
    assert plan.make(installed(tmp_path, OLD), new, restart=False).restart == []


def test_a_unit_of_ours_that_stopped_is_started(tmp_path: Path, active: dict[str, str]) -> None:
    active["bulkhead-net-web.service"] = "failed"
    made = plan.make(installed(tmp_path, OLD), bundle(tmp_path, OLD, "b", OWN))
    assert made.reload == ["bulkhead-net-web.service"] and made.restart == []
    assert made.reasons == ["bulkhead-net-web.service: not active"]


def test_a_running_slice_is_never_restarted(tmp_path: Path, active: dict[str, str]) -> None:
    made = plan.make(
        installed(tmp_path, OLD), bundle(tmp_path, {**OLD, "bulkhead-web.slice": "x\n"}, "b", OWN)
    )
    assert made.reload == [] and len(made.write) == 1


@pytest.mark.parametrize(("state", "stops"), [("inactive", False), ("active", True)])
def test_a_unit_without_a_file_is_stopped_where_it_still_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, stops: bool
) -> None:
    """Where the guard took a first change back, neither file nor unit is left for the removal to stop."""
    facts = {"LoadState": "not-found", "ActiveState": state}
    monkeypatch.setattr(units, "show", lambda names, extra=(): dict.fromkeys(names, facts))
    made = plan.make(bundle(tmp_path, OLD, "a", OWN), None)
    assert made.stop == (sorted(OWN) if stops else [])


def test_removal_stops_our_units_and_restarts_the_application(tmp_path: Path, active: dict[str, str]) -> None:
    made = plan.make(installed(tmp_path, OLD), None)
    assert made.restart == ["web.service"]
    assert made.stop == sorted(OWN)
    assert len(made.remove) == 3


@pytest.mark.parametrize(
    ("group", "removing", "expected"),
    [
        ("/system.slice/web.service", False, True),
        ("/bulkhead.slice/bulkhead-web.slice/web.service", False, False),
        ("/bulkhead.slice/bulkhead-web.slice/web.service", True, True),
        ("/system.slice/web.service", True, False),
        ("", False, False),
    ],
)
def test_an_application_that_was_not_restarted_is_found_by_its_slice(
    group: str, removing: bool, expected: bool
) -> None:
    facts = {"ActiveState": "active", "ControlGroup": group, "Slice": "bulkhead-web.slice"}
    assert plan.misplaced(facts, removing) is expected
    assert plan.misplaced({**facts, "ActiveState": "inactive"}, removing) is False


def test_tables_are_read_from_the_rules(tmp_path: Path) -> None:
    rules = "table inet bulkhead_web\ndelete table inet bulkhead_web\ntable inet bulkhead_web {\n}\n"
    assert plan.tables(bundle(tmp_path, {"web.nft": rules}, "a")) == {
        "web.service": {("inet", "bulkhead_web")}
    }


def test_order_of_a_switch(tmp_path: Path, active: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    for name in ("start", "start_or_reload", "stop", "restart"):
        monkeypatch.setattr(
            units,
            name,
            lambda names, *_rest, name=name: told.append(f"{name} {' '.join(names)}") if names else None,
        )
    monkeypatch.setattr(units, "reload_manager", lambda: told.append("daemon-reload"))
    plan.switch(plan.make(installed(tmp_path, OLD), None))
    assert told == [
        "daemon-reload",
        "restart web.service",
        "stop bulkhead-net-web.service bulkhead-web.slice",
        "daemon-reload",
    ]
    assert not list(tmp_path.rglob("*bulkhead*"))


def test_an_application_that_does_not_start_keeps_nothing_from_following_where_that_is_forgiven(
    tmp_path: Path, active: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def restart(_names: list[str], _deadline: float) -> None:
        raise HostError("web.service does not start.")

    told: list[str] = []
    monkeypatch.setattr(units, "reload_manager", lambda: None)
    monkeypatch.setattr(units, "restart", restart)
    monkeypatch.setattr(units, "stop", told.extend)
    switch = plan.make(installed(tmp_path, OLD), None)
    with pytest.raises(HostError, match="does not start"):
        plan.switch(switch)
    assert not told
    forgiven: list[str] = []
    plan.switch(switch, forgive=lambda problem: forgiven.append(str(problem)))
    assert forgiven == ["web.service does not start."]
    assert told == ["bulkhead-net-web.service", "bulkhead-web.slice"]
    assert not list(tmp_path.rglob("*bulkhead*"))


def test_a_unit_of_ours_starts_anew_only_where_its_own_file_changed(
    tmp_path: Path, active: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, list[str]]] = []
    for name in ("start_anew", "start_or_reload"):
        monkeypatch.setattr(
            units, name, lambda names, name=name: told.append((name, names)) if names else None
        )
    monkeypatch.setattr(units, "reload_manager", lambda: None)
    monkeypatch.setattr(files, "user_id", lambda _name: os.getuid())
    monkeypatch.setattr(files, "group_id", lambda _name: os.getgid())
    old = installed(tmp_path, OLD)
    new = bundle(tmp_path, {**OLD, "bulkhead-net-web.service": "m\n"}, "b", OWN)
    active["bulkhead-net-web.service"] = "failed"
    plan.switch(plan.make(old, bundle(tmp_path, OLD, "b", OWN)))
    waiting = plan.make(old, new)
    active["bulkhead-net-web.service"] = "active"
    running = plan.make(old, new)
    plan.switch(waiting)
    plan.switch(running)
    assert told == [
        ("start_or_reload", ["bulkhead-net-web.service"]),
        ("start_or_reload", ["bulkhead-net-web.service"]),
        ("start_anew", ["bulkhead-net-web.service"]),
    ]


@pytest.mark.parametrize(
    ("unit", "names", "said"),
    [
        ("web.service", ["web.service"], "web.service is confined by policy web already."),
        (
            "www.service",
            ["web.service", "www.service"],
            "www.service (here also web.service) is confined by policy",
        ),
    ],
)
def test_two_policies_for_one_unit_are_refused(
    tmp_path: Path, unit: str, names: list[str], said: str
) -> None:
    others = [("web", bundle(tmp_path, OLD, "a"))]
    with pytest.raises(HostError) as caught:
        plan.check_owner("shop", unit, names, others)
    assert str(caught.value).startswith(said)
    assert caught.value.state == "refused"
    plan.check_owner("web", unit, names, others)
    plan.check_owner("shop", "db.service", ["db.service"], others)


def test_two_policies_for_an_instance_and_its_template_are_refused(tmp_path: Path) -> None:
    """A bundle for a template names the one instance that the host has, so the names are the same."""
    other = bundle(tmp_path, OLD, "a")._replace(unit="db@main.service")
    with pytest.raises(HostError, match="db@main.service is confined by policy db already."):
        plan.check_owner("shop", "db@main.service", ["db@main.service"], [("db", other)])


@pytest.mark.parametrize(
    ("kind", "state", "refused"),
    [
        ("oneshot", "activating", True),
        ("oneshot", "active", False),
        ("oneshot", "inactive", False),
        ("simple", "activating", False),
    ],
)
def test_a_job_at_work_is_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, state: str, refused: bool
) -> None:
    monkeypatch.setattr(
        units, "show", lambda names, _more=(): {name: {"ActiveState": state, "Type": kind} for name in names}
    )
    new = bundle(tmp_path, {**OLD, "web.service.d/zz-bulkhead.conf": "new\n"}, "b", OWN)
    made = plan.make(installed(tmp_path, OLD), new)
    if not refused:
        plan.refuse_running_job(made)
        return
    with pytest.raises(HostError, match=r"web.service \(Type=oneshot\) is at work right now") as caught:
        plan.refuse_running_job(made)
    assert caught.value.state == "refused"
    plan.refuse_running_job(plan.make(installed(tmp_path, OLD), new, restart=False))
