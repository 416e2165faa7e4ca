# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the options of a rollout's playbooks is told before anything is done, all of it at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.utils.vars import load_extra_vars
from rollout_run import BOTH, NAME, Run

NO_ROLLOUT = "No rollout of 'nginx' is in "
HOOKS = "write a list, such as ['https://chat.example.org/hooks/name']."


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def begin(run: Run, task: str, **given: Any) -> str:
    """What the first task of a playbook says."""
    told: str = run.play({NAME + task: {**run.rollouts, "policies": ["nginx"], **given}})["msg"]
    return told


def test_a_plan_tells_kinds_names_and_values_together(run: Run) -> None:
    run.variables = {"rollout_soack": 5}
    given: dict[str, Any] = {"soak": "abc", "gates": "url=http://x", "breaker": 0, "confirm_within": 1}
    given |= {"probe_waves": ["cannary"], "mode": "adit"}
    told = run.plan(BOTH, **given, webhooks=[{"url": "http://x/S3CRET"}, "http://x/S3CRET"])
    assert told["msg"] == (
        "Nothing was changed. "
        "rollout_soak is 'abc'; write a whole number, such as 10. "
        "rollout_gates is a text; write a list, such as [{command: [/usr/local/bin/check], within: 20}]. "
        "rollout_mode is 'adit'; write one of audit, enforce. "
        "rollout_soack is no variable of a rollout; write rollout_soak. "
        "rollout_webhooks[0] is a mapping (with 'url'), and a webhook has no options; write its address only: "
        "an address, such as 'https://chat.example.org/hooks/name'. "
        "rollout_confirm_within is '1'; write 5 to 86400 seconds. "
        "rollout_probe_waves has 'cannary'; write pilot, canary, unchanged or wave 1 to wave 3. "
        "rollout_breaker is '0'; write a percentage, 1 to 100."
    )
    assert not (run.work / "rollouts").exists()


def test_what_the_command_line_says_and_nobody_meant_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"reason": "the", "_raw_params": "shop has a sale", "fleets": "web"}
    # What Ansible has read of the command line.
    monkeypatch.setattr(load_extra_vars, "extra_vars", given, raising=False)
    run.variables = {"mod": "of an inventory"}
    told = (
        "'shop has a sale' belongs to no variable: a value of several words needs quotes inside, as in "
        "-e \"reason='the shop has a sale'\". fleets is no variable of a rollout; write fleet."
    )
    assert run.plan(BOTH)["msg"] == f"Nothing was changed. {told}"
    assert begin(run, "control", what="pause", reason="the").startswith(
        f"Nothing was done. {told} {NO_ROLLOUT}"
    )


@pytest.mark.parametrize(("hooks", "what"), [({"url": "http://x"}, "a mapping"), ("http://x", "a text")])
def test_webhooks_of_a_plan_are_a_list(run: Run, hooks: object, what: str) -> None:
    assert run.plan(BOTH, webhooks=hooks)["msg"] == (
        f"Nothing was changed. rollout_webhooks is {what}; {HOOKS}"
    )


def test_a_plan_without_a_policy_tells_its_other_faults_too(run: Run) -> None:
    assert run.plan(BOTH, policies=[], soak=-1)["msg"] == (
        "Nothing was changed. rollout_soak is '-1'; write seconds, 0 or more. No policy is named."
    )


def test_a_look_that_was_given_what_is_wrong_is_no_fault_of_a_host(run: Run) -> None:
    told = run.play(
        {NAME + "host": {"operation": "look", "policies": ["nginx"], "mode": "adit", "accept": "all"}}, "a"
    )
    assert told["msg"] == (
        "rollout_mode is 'adit'; write one of audit, enforce. "
        "rollout_accept has 'all'; write some of enforced, partial, waived."
    )
    facts = BOTH | {"a": {"look": told}}
    assert run.plan(facts, mode="adit", accept="all")["msg"] == f"Nothing was changed. {told['msg']}"


@pytest.mark.parametrize("task", ["plan", "reopen"])
def test_a_token_that_is_not_there_is_told_before_a_wave_begins(run: Run, task: str) -> None:
    token = run.work / "token"
    token.write_text("t0k3n")
    token.chmod(0o600)
    gates = [{"url": "http://x", "token_file": str(token)}]
    if task == "reopen":
        run.plan(BOTH, gates=gates)
    token.unlink()
    told = run.plan(BOTH, gates=gates)["msg"] if task == "plan" else begin(run, task)
    assert told == (
        f"Nothing was {'changed' if task == 'plan' else 'done'}. rollout_gates[0] (url): its token_file '{token}' "
        "cannot be read (No such file or directory); write the path of a file that this user can read."
    )


def test_resume_tells_all_before_it_reads_a_receipt(run: Run) -> None:
    run.variables = {"rollout_confirm": 5}
    wrong = {"mode": "adit", "catch_up": "perhaps", "confirm_within": "soon", "probe_method": "fast"}
    told = begin(run, "reopen", **wrong, webhooks=["x"])
    assert told.startswith(
        "Nothing was done. "
        "rollout_mode is 'adit'; write one of audit, enforce. "
        "rollout_catch_up is 'perhaps'; write true or false. "
        "rollout_confirm_within is 'soon'; write a whole number, such as 60. "
        "rollout_confirm is no variable of a rollout; write rollout_confirm_within. "
        "rollout_probe_method is 'fast'; write one of auto, reload, clone, none. "
        "rollout_webhooks[0] does not begin with http:// or https://; "
        f"write an address, such as 'https://chat.example.org/hooks/name'. {NO_ROLLOUT}"
    )
    run.variables = {}
    run.plan(BOTH)
    assert begin(run, "reopen", probe_waves=["cannary"]) == (
        "Nothing was done. rollout_probe_waves has 'cannary'; write pilot, canary, unchanged or wave 1 to wave 3."
    )


@pytest.mark.parametrize("what", ["abort", "pause", "promote"])
def test_who_steers_a_rollout_is_told_all_before_the_journal_has_a_line(run: Run, what: str) -> None:
    run.plan(BOTH)
    run.variables = {"rollout_resaon": "x"}
    told = begin(run, "control", what=what, by=["eve"], reason="", metrics=[], rollout="nginx")
    assert told == (
        "Nothing was done. rollout_author is a list; write a text. rollout_metrics is a list; write a path. "
        "rollout_resaon is no variable of a rollout; write rollout_reason. "
        f"No reason is given to {what}. 'nginx' is no rollout id."
    )
    run.variables = {}
    told = begin(run, "control", what=what, reason={"why": "x"}, webhooks={"url": "http://x"})
    assert told == (
        f"Nothing was done. rollout_reason is a mapping; write a text. rollout_webhooks is a mapping; {HOOKS}"
    )
    assert len(run.journal()) == 1


def test_a_rollback_tells_all_before_it_takes_an_epoch(run: Run) -> None:
    run.plan(BOTH)
    run.variables = {"rollout_metric": "/x"}
    undo = {"take_over": True, "webhooks": [5], "metrics": {}, "rollout": ["nginx-e0001"]}
    assert begin(run, "undo", **undo) == (
        "Nothing was done. rollout_metrics is a mapping; write a path. rollout is a list; write a text. "
        "rollout_metric is no variable of a rollout; write rollout_metrics. "
        "rollout_webhooks[0] is no text; write an address, such as 'https://chat.example.org/hooks/name'."
    )
    assert (run.work / "rollouts/nginx.epoch").read_text() == '{"epoch": 1}\n'


@pytest.mark.parametrize(
    ("seconds", "wrong"), [(1, "'1'; write 5 to 86400 seconds"), ("soon", "'soon'; write a whole number")]
)
def test_what_no_host_accepts_is_told_before_the_way_back_begins(
    run: Run, seconds: object, wrong: str
) -> None:
    """A rollback that every host refuses would close a rollout that has passed."""
    run.plan(BOTH)
    asked = {"undo": {"take_over": True}, "control": {"what": "abort", "reason": "x"}}
    for task, given in asked.items():
        told = begin(run, task, **given, confirm_within=seconds)
        assert told.startswith(f"Nothing was done. rollout_confirm_within is {wrong}")
    assert len(run.journal()) == 1


def test_the_way_back_at_the_end_of_a_rollout_is_not_refused_for_a_name(run: Run) -> None:
    run.plan(BOTH)
    run.variables = {"rollout_metric": "/x"}
    undo = {**run.rollouts, "policies": ["nginx"], "rollout": "nginx-e0001", "only_aborted": True}
    assert run.play({NAME + "undo": undo})["order"] == []


def test_status_tells_what_is_wrong_with_its_options(run: Run) -> None:
    run.variables = {"rollout_dri": "/x"}
    assert begin(run, "status", rollout=["x"]).startswith(
        "Nothing was done. rollout is a list; write a text. "
        f"rollout_dri is no variable of a rollout; write rollout_dir. {NO_ROLLOUT}"
    )
    run.variables = {}
    assert begin(run, "status", policies={"nginx": 1}, rollout_dir=["/x"]) == (
        "Nothing was done. rollout_dir is a list; write a path. "
        "rollout_policies is a mapping; write a list, such as [nginx]."
    )
    assert begin(run, "status").startswith(NO_ROLLOUT)


def test_who_approves_is_told_all_that_is_wrong_by_the_variables_that_he_wrote(run: Run) -> None:
    told = begin(run, "approve", by="", key=["~/.ssh/id"], hours="soon")
    assert told.startswith(
        "Nothing was done. rollout_approve_key is a list; write a path. "
        f"rollout_approve_hours is 'soon'; write a whole number, such as 24. {NO_ROLLOUT}"
    )
    told = begin(run, "approve", by="", key="~/.ssh/id", hours=0)
    assert told.startswith(
        "Nothing was done. rollout_approve_hours is '0'; write 1 to 8784. rollout_approve_as is empty;"
    )
