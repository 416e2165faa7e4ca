# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a wave may begin: nothing but a change that was set out for lets it go on without windows and approvals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rollout_run import BOTH, LOOK, NAME, Run

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal

ROLLOUT = "ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    found = Run(tmp_path)
    found.plan(BOTH, windows=["22:00-04:00"])
    monkeypatch.setattr(f"{ROLLOUT}.windows.closed", lambda *_given: "Outside of the maintenance windows.")
    return found


def stands(run: Run, epoch: int, **more: Any) -> str:
    given = {**run.rollouts, "rollout": "nginx-e0001", "epoch": epoch, "host": "b", **more}
    return str(run.play({NAME + "state": given})["verdict"])


def intent(run: Run, epoch: int, wave: str) -> None:
    given = {**run.rollouts, "rollout": "nginx-e0001", "epoch": epoch, "phase": "apply", "hosts": ["b"]}
    run.play({NAME + "journal": given | {"wave": wave}})


def test_a_wave_whose_hosts_were_not_found_has_not_begun(run: Run) -> None:
    """Somebody resumed with another inventory; once the host is there again it waits like any other."""
    without, again = {"a": {"seen": {}}}, {name: {"seen": {}} for name in ("a", "b")}
    for hosts in (without, again):
        run.variables = {"hostvars": hosts}
        given = {"policies": ["nginx"], "receipt": "seen", **run.rollouts}
        assert run.play({NAME + "reopen": given})["rollout"] == "nginx-e0001"
    assert [line["outcome"] for line in run.journal() if line["phase"] == "apply"] == ["unreachable"]
    assert stands(run, 3) == "pause"


def test_a_wave_that_has_begun_is_finished(run: Run) -> None:
    intent(run, 1, "pilot")
    assert [stands(run, 1), stands(run, 2)] == ["pass", "pass"]


def test_hosts_that_catch_up_once_more_begin_anew(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hosts catch up with a rollout that has passed.
    monkeypatch.setattr(f"{ROLLOUT}.state.verdict", lambda *_given, **_more: "pass")
    intent(run, 2, "catch-up")
    assert stands(run, 2, wave="catch-up") == "pass"
    assert stands(run, 3, wave="catch-up") == "pause"


def test_who_catches_up_does_without_a_policy_that_it_does_not_list_any_more(tmp_path: Path) -> None:
    """It is neither applied nor judged, and the other one is."""
    run = Run(tmp_path)
    look = LOOK["policies"]["nginx"]
    both = {name: {"look": {"policies": {"nginx": look, "redis": look}}} for name in ("a", "b")}
    run.plan(both, policies=["nginx", "redis"])
    run.rollouts |= {"rollout": "nginx+redis-e0001"}
    at = {**run.rollouts, "epoch": 2, "wave": "catch-up", "hosts": ["b"]}
    facts = {"b": {"bulkhead_policies": ["redis"], "apply": {"policies": {"redis": look}}}}
    path = tmp_path / "rollouts/nginx+redis-e0001/journal.jsonl"
    waves = ("pilot", "canary", "wave 1")
    journal.extend(path, [journal.Record("gate", "pass", wave=wave) for wave in waves])
    stands = run.play({NAME + "state": at | {"host": "b"}}, **facts)
    assert (stands["verdict"], list(stands["planned"]["b"])) == ("pass", ["redis"])
    for result in ({}, {"result": "apply"}):
        done = run.play({NAME + "journal": at | {"phase": "apply"} | result}, **facts)
        assert list(done["outcomes"]) == ["b redis"]
    gate = run.play({NAME + "gate": at | {"apply": "apply", "probe": "probe"}}, **facts)
    assert gate["exposure"]["hosts"] == 1
    assert {text.partition(":")[0] for text in gate["findings"]} == {"b redis"}


def test_a_wave_that_waits_for_approvals_says_how_to_approve(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "signers").write_text("")
    path = tmp_path / "approvers.yml"
    path.write_text("{allowed_signers: signers, approvers: [alice]}")
    run.plan(BOTH, approvers=str(path))
    told = run.play({NAME + "approve": {**run.rollouts, "policies": ["nginx"], "by": ""}})
    assert told["lines"][-1] == (
        "Nothing was signed. Sign it with -e approve_as=NAME -e approve_key=~/.ssh/id_ed25519."
    )
    task = {**run.rollouts, "policies": ["nginx"], "by": "alice", "key": "k"}
    told = run.play({NAME + "approve": task, "check_mode": True})
    assert told["lines"][-1] == "Nothing was signed."
    given = {**run.rollouts, "rollout": "nginx-e0001", "epoch": 1, "host": "b"}
    said = run.play({NAME + "state": given})["detail"]
    assert said.startswith("Waits for 1 more: 0 of 1 approvals. Plan ")
    assert said.endswith(". Approve it with bulkhead.fleet.approve.")
    path.write_text("{allowed_signers: signers, approvers: [alice, bob]}")
    assert "bulkhead.fleet.approve" not in run.play({NAME + "state": given})["detail"]
