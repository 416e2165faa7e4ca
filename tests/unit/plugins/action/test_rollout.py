# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout's actions on a real folder of rollouts; what hosts would answer is given as their variables."""

from __future__ import annotations

import json
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader

NAME = "bulkhead.fleet.rollout_"

LOOK = {"fingerprint": "x", "from": "old", "digest": "new", "changed": True}
SEEN = {
    "active": "new",
    "rollout": "nginx-e0001",
    "service": {"state": "active", "restarts": 0, "invocation": "i"},
    "health": [{"id": "health[0]", "ok": True, "detail": ""}],
}
SICK = SEEN | {"health": [{"id": "health[0]", "ok": False, "detail": "status 502"}]}
PROOF = {
    "evidence": {
        "clauses": [
            {
                "clause": "c",
                "outcome": "enforced",
                "failures": [],
                "unsure": [],
                "probes": [{"ok": True}],
                "readbacks": [],
            }
        ]
    }
}


class Run:
    """Tasks over hosts a and b with a folder of rollouts of their own."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.rollouts = {"rollout_dir": str(work / "rollouts")}

    def play(self, task: dict[str, Any], host: str = "localhost", **facts: Any) -> dict[str, Any]:
        """The result of one task on ``host``; ``facts``: host -> variables. A raised error is a failed result."""
        parsed = Task()
        parsed.check_mode = bool(task.get("check_mode"))
        [(action_name, parsed.args)] = ((key, value) for key, value in task.items() if key != "check_mode")
        name = action_name.rpartition(".")[2]
        module = import_module(f"ansible_collections.bulkhead.fleet.plugins.action.{name}")
        action = module.ActionModule(
            parsed, connection_loader.get("local", PlayContext()), None, None, None, None
        )
        variables = {
            "inventory_hostname": host,
            "hostvars": {each: facts.get(each, {}) for each in ("a", "b")},
            "ansible_play_hosts_all": ["a", "b"],
        }
        try:
            result: dict[str, Any] = action.run(task_vars=variables)
        except AnsibleError as error:
            return {"failed": True, "msg": f"{error}"}
        return result

    def plan(self, facts: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        given = {"policy": "nginx", "fleet": ["a", "b"], "look": "look", **self.rollouts, **arguments}
        return self.play({NAME + "plan": given}, **facts)

    def journal(self) -> list[dict[str, Any]]:
        path = self.work / "rollouts/nginx-e0001/journal.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


BOTH = {"a": {"look": LOOK, "bulkhead_risk": "low"}, "b": {"look": LOOK, "bulkhead_risk": "high"}}
ROLLOUT = {"rollout": "nginx-e0001"}


def applied(run: Run, host: str, result: dict[str, Any] | None) -> dict[str, Any]:
    given = {**run.rollouts, **ROLLOUT, "epoch": 1, "phase": "apply"}
    return run.play({NAME + "journal": given | ({"result": result} if result else {})}, host=host)


def test_a_plan_is_written_with_the_first_line_of_the_journal(run: Run) -> None:
    told = run.plan(BOTH)
    assert (told["rollout"], told["epoch"], told["order"], told["serial"]) == (
        "nginx-e0001",
        1,
        ["b", "a"],
        [1, 1],
    )
    assert [(line["phase"], line["detail"]) for line in run.journal()] == [("plan", f"plan {told['digest']}")]
    assert json.loads((run.work / "rollouts/nginx-e0001/plan.json").read_text())["digest"] == told["digest"]


def test_strings_from_the_command_line_are_numbers(run: Run) -> None:
    assert run.plan(BOTH, pilot="2", waves=["100"], soak="0", max_failed="1")["serial"] == [2]


def test_a_plan_in_check_mode_writes_nothing(run: Run) -> None:
    given = {"policy": "nginx", "fleet": ["a", "b"], "look": "look", **run.rollouts}
    told = run.play({NAME + "plan": given, "check_mode": True}, **BOTH)
    assert told["lines"][0] == "nginx-e0001: 2 hosts in 2 waves"
    assert not (run.work / "rollouts").exists()


def test_a_refusal_of_one_host_stops_the_plan(run: Run) -> None:
    refused = {"failed": True, "msg": "unit 'x' does not exist.", "state": "refused"}
    told = run.plan(BOTH | {"a": {"look": refused}})
    assert told["failed"]
    assert "Nothing was changed. a: unit 'x' does not exist." in told["msg"]
    assert not (run.work / "rollouts").exists()


def test_intent_and_outcome(run: Run) -> None:
    run.plan(BOTH)
    assert applied(run, "a", None)["outcome"] == "intent"
    assert applied(run, "a", {"failed": True, "state": "reverted", "msg": "no."})["outcome"] == "reverted"
    lines = [
        (line["host"], line["wave"], line["outcome"], line["from"], line["to"]) for line in run.journal()[1:]
    ]
    assert lines == [("a", "wave 1", "intent", "old", "new"), ("a", "wave 1", "reverted", "old", "new")]


def test_a_host_outside_the_plan_is_refused(run: Run) -> None:
    run.plan({"a": {"look": LOOK}})
    assert "Host 'b' is not in the plan of 'nginx-e0001'." in applied(run, "b", None)["msg"]


def test_a_gate_reads_the_hosts_and_the_next_wave_obeys_it(run: Run) -> None:
    run.plan(BOTH)
    names = {"apply": "applied", "probe": "proof"}
    gate = {NAME + "gate": {**run.rollouts, **ROLLOUT, "wave": "pilot", **names}}
    may_begin = {NAME + "state": {**run.rollouts, **ROLLOUT, "wave": "wave 1"}}

    told = run.play(gate, host="b")
    assert (told["verdict"], told["exposure"]["good"]) == ("inconclusive", 0)
    assert run.play(may_begin)["verdict"] == "inconclusive"

    applied(run, "b", LOOK)
    seen = {"applied": SEEN, "proof": PROOF | {"survey": SEEN}}
    assert run.play(gate, host="b", b=seen)["verdict"] == "pass"
    assert run.play(may_begin)["verdict"] == "pass"

    told = run.play(gate, host="b", b=seen | {"proof": PROOF | {"survey": SICK}})
    assert (told["verdict"], told["findings"]) == ("abort", ["b: health: health: health[0]: status 502"])
    assert run.play(may_begin)["verdict"] == "abort"


def test_a_wave_is_lost_once_a_host_of_it_failed(run: Run) -> None:
    run.plan(BOTH)
    stands = {NAME + "state": {**run.rollouts, **ROLLOUT, "wave": "pilot"}}
    assert not run.play(stands)["lost"]
    applied(run, "b", None)
    assert not run.play(stands)["lost"]  # an intent is no failure yet
    applied(run, "b", {"failed": True, "state": "reverted", "msg": "no."})
    assert run.play(stands)["lost"]


def test_what_cannot_be_read_is_inconclusive_and_no_failure(run: Run) -> None:
    told = run.play({NAME + "state": {**run.rollouts, "rollout": "nginx-e0009"}})
    assert (told["verdict"], told.get("failed", False)) == ("inconclusive", False)
    assert "plan.json' cannot be used: No such file or directory." in told["detail"]


def test_who_goes_back_and_how_it_ends(run: Run) -> None:
    run.plan(BOTH)
    applied(run, "b", LOOK)
    undo = {**run.rollouts, "policy": "nginx", "receipt": "seen"}
    told = run.play({NAME + "undo": undo}, a={"seen": SEEN | {"rollout": "nginx-e0000"}}, b={"seen": SEEN})
    assert told["back"] == {"b": {"from": "old", "to": "new", "shown": False}}
    assert run.play({NAME + "undo": undo | {"only_aborted": True}})["order"] == []

    ending = {NAME + "result": {**run.rollouts, **ROLLOUT, "epoch": 1, "rollback": True}}
    told = run.play(ending)
    assert (told["outcome"], told["good"]) == ("owed", False)
    back = {**run.rollouts, **ROLLOUT, "epoch": 2, "phase": "rollback", "result": {"changed": True}}
    run.play({NAME + "journal": back}, host="b")
    told = run.play(ending)
    assert (told["outcome"], told["good"]) == ("rolled_back", True)


def test_a_rollback_takes_a_higher_epoch(run: Run) -> None:
    run.plan(BOTH)
    undo = {**run.rollouts, "policy": "nginx", "take_over": True}
    assert [run.play({NAME + "undo": undo})["epoch"] for _ in range(2)] == [2, 3]


def test_a_second_controller_is_refused_while_the_first_lives(run: Run) -> None:
    run.plan(BOTH)
    holder = subprocess.Popen(["sleep", "60"])
    try:
        path = run.work / "rollouts/nginx.lock"
        lock = json.loads(path.read_text())
        path.write_text(json.dumps(lock | {"pid": holder.pid, "started": ""}))
        assert f"(process {holder.pid} on " in run.plan(BOTH)["msg"]
    finally:
        holder.kill()
        holder.wait()
    assert run.plan(BOTH)["rollout"] == "nginx-e0002"


@pytest.mark.parametrize("malformed", [{"evidence": {"clauses": [1]}}, {"evidence": {"clauses": [{}]}}])
def test_a_gate_that_cannot_read_an_answer_is_inconclusive(run: Run, malformed: dict[str, Any]) -> None:
    run.plan(BOTH)
    applied(run, "b", LOOK)
    names = {"apply": "applied", "probe": "proof"}
    gate = {NAME + "gate": {**run.rollouts, **ROLLOUT, "wave": "pilot", **names}}
    told = run.play(gate, host="b", b={"applied": SEEN, "proof": malformed | {"survey": SEEN}})
    assert (told["verdict"], told.get("failed", False)) == ("inconclusive", False)
    assert "What the hosts answered is malformed: " in told["detail"]
