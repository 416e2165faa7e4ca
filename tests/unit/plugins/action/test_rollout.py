# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout's actions on a real folder of rollouts; what hosts would answer is given as their variables."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from rollout_run import BOTH, LOOK, NAME, Run

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, store, telling
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError


def answer(**fields: Any) -> dict[str, Any]:
    return {"policies": {"nginx": fields}}


SURVEY = {
    "active": "new",
    "rollout": "nginx-e0001",
    "service": {"state": "active", "restarts": 0, "invocation": "i"},
    "health": [{"id": "health[0]", "ok": True, "detail": ""}],
}
SEEN = answer(**SURVEY)
SICK = SURVEY | {"health": [{"id": "health[0]", "ok": False, "detail": "status 502"}]}
PROOF = {"tried": 3, "answered": 1, "failures": [], "unsure": []}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


ROLLOUT = {"rollout": "nginx-e0001"}


def applied(run: Run, host: str, result: dict[str, Any] | None) -> dict[str, Any]:
    given = {**run.rollouts, **ROLLOUT, "epoch": 1, "phase": "apply", "hosts": [host]}
    facts = {host: {"result": result}} if result else {}
    return run.play({NAME + "journal": given | ({"result": "result"} if result else {})}, host=host, **facts)


def stands(run: Run, host: str, **more: Any) -> dict[str, Any]:
    return run.play({NAME + "state": {**run.rollouts, **ROLLOUT, "epoch": 1, "host": host, **more}})


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
    given = {"policies": ["nginx"], "fleet": ["a", "b"], "look": "look", **run.rollouts}
    told = run.play({NAME + "plan": given, "check_mode": True}, **BOTH)
    assert told["lines"][0] == "nginx-e0001: 2 hosts in 2 waves"
    assert not (run.work / "rollouts").exists()


def test_a_refusal_of_one_host_stops_the_plan(run: Run) -> None:
    refused = {"failed": True, "msg": "unit 'x' does not exist.", "state": "refused"}
    told = run.plan(BOTH | {"a": {"look": {"policies": {"nginx": refused}}}})
    assert told["failed"]
    assert "Nothing was changed. a: unit 'x' does not exist." in told["msg"]
    assert not (run.work / "rollouts").exists()


def test_intent_and_outcome(run: Run) -> None:
    run.plan(BOTH)
    assert applied(run, "a", None)["outcomes"] == {"a": "intent"}
    told = applied(run, "a", answer(failed=True, state="reverted", msg="no."))
    assert told["outcomes"] == {"a": "reverted"}
    lines = [
        (line["host"], line["wave"], line["outcome"], line["from"], line["to"]) for line in run.journal()[1:]
    ]
    assert lines == [("a", "wave 1", "intent", "old", "new"), ("a", "wave 1", "reverted", "old", "new")]


def test_only_what_did_not_succeed_is_journaled_where_that_is_asked_for(run: Run) -> None:
    """As after the end of a soak: whoever took the change back has not been judged."""
    run.plan(BOTH, poll=10, lease=30)
    assert (stands(run, "b")["lease"], stands(run, "b")["lapse"]) == (30, "revert")
    given = {**run.rollouts, **ROLLOUT, "epoch": 1, "phase": "apply", "hosts": ["a", "b"], "result": "result"}
    facts = {
        "a": {"result": answer(changed=True, state="confirmed", digest="new")},
        "b": {"result": answer(failed=True, state="reverted", msg="too late.")},
    }
    told = run.play({NAME + "journal": given | {"only_failed": True}}, host="a", **facts)
    assert told["outcomes"] == {"b": "reverted"}
    assert [(line["host"], line["outcome"]) for line in run.journal()[1:]] == [("b", "reverted")]


def test_a_host_outside_the_plan_is_refused(run: Run) -> None:
    run.plan({"a": {"look": LOOK}})
    assert "Host 'b' is not in the plan of 'nginx-e0001'." in applied(run, "b", None)["msg"]


def test_a_gate_reads_the_hosts_and_the_next_wave_obeys_it(run: Run) -> None:
    run.plan(BOTH)
    names = {"apply": "applied", "probe": "proof"}
    gate = {NAME + "gate": {**run.rollouts, **ROLLOUT, "epoch": 1, "wave": "pilot", **names}}

    told = run.play(gate, host="b")
    assert (told["verdict"], told["exposure"]["good"]) == ("inconclusive", 0)
    assert stands(run, "a")["verdict"] == "inconclusive"

    assert applied(run, "b", LOOK)["outcomes"] == {"b": "changed"}
    seen = {"applied": SEEN, "proof": answer(survey=SURVEY, proof=PROOF)}
    assert run.play(gate, host="b", b=seen)["verdict"] == "pass"
    assert (stands(run, "a")["verdict"], stands(run, "a")["wave"]) == ("pass", "wave 1")

    told = run.play(gate, host="b", b=seen | {"proof": answer(survey=SICK, proof=PROOF)})
    assert (told["verdict"], told["findings"]) == ("abort", ["b: health: health: health[0]: status 502"])
    assert stands(run, "a")["verdict"] == "abort"


def test_a_wave_that_waited_for_a_window_is_paused_after_all(run: Run) -> None:
    run.plan(BOTH, pause_after=["pilot"])
    path = run.work / "rollouts/nginx-e0001/journal.jsonl"
    journal.append(path, journal.Record("gate", "pause", "nginx-e0001", 1, "pilot", detail="Outside."))
    outcomes = []
    for _turn in range(2):
        applied(run, "b", None)
        applied(run, "b", LOOK)
        given = {**run.rollouts, **ROLLOUT, "epoch": 1, "wave": "pilot", "apply": "apply", "probe": "probe"}
        facts = {"apply": answer(**SURVEY), "probe": answer(survey=SURVEY, proof=PROOF)}
        outcomes.append(run.play({NAME + "gate": given}, b=facts)["verdict"])
    assert outcomes == ["pause", "pass"]


def test_an_abort_is_seen_while_a_gate_of_ones_own_runs(run: Run) -> None:
    """The command asks for it itself, in the journal, as another terminal would; then it hangs."""
    run.plan(
        BOTH, gates=[{"command": ["/bin/sh", "-c", f"echo go > {run.work}/asked; sleep 30"], "within": 60}]
    )
    applied(run, "b", LOOK)
    given = {**run.rollouts, "policies": ["nginx"], "what": "abort", "by": "eve", "reason": "no"}

    def ask() -> None:
        while not (run.work / "asked").exists():
            time.sleep(0.05)
        run.play({NAME + "control": given})

    thread = Thread(target=ask)
    thread.start()
    names = {"apply": "applied", "probe": "proof"}
    gate = {NAME + "gate": {**run.rollouts, **ROLLOUT, "epoch": 1, "wave": "pilot", **names}}
    began = time.monotonic()
    told = run.play(gate, host="b", b={"applied": SEEN, "proof": answer(survey=SURVEY, proof=PROOF)})
    thread.join()
    assert time.monotonic() - began < 15
    assert (told["verdict"], told["detail"]) == ("abort", "abort by eve: no.")
    assert run.journal()[-1]["outcome"] == "abort"


def test_a_wave_is_lost_once_a_host_of_it_failed(run: Run) -> None:
    run.plan(BOTH)
    assert not stands(run, "b")["lost"]
    applied(run, "b", None)
    assert not stands(run, "b")["lost"]  # an intent is no failure yet
    applied(run, "b", answer(failed=True, state="reverted", msg="no."))
    assert stands(run, "b")["lost"]


def test_what_cannot_be_read_is_inconclusive_and_no_failure(run: Run) -> None:
    told = stands(run, "a", rollout="nginx-e0009")
    assert (told["verdict"], told.get("failed", False)) == ("inconclusive", False)
    assert "plan.json' cannot be used: No such file or directory." in told["detail"]


def test_who_goes_back_and_how_it_ends(run: Run) -> None:
    run.plan(BOTH)
    applied(run, "b", LOOK)
    undo = {**run.rollouts, "policies": ["nginx"], "receipt": "seen"}
    other = answer(**SURVEY | {"rollout": "nginx-e0000"})
    told = run.play({NAME + "undo": undo}, a={"seen": other}, b={"seen": SEEN})
    assert told["back"] == {"b": {"nginx": {"from": "old", "to": "new", "shown": False}}}
    assert run.play({NAME + "undo": undo | {"only_aborted": True, **ROLLOUT}})["order"] == []
    begun = undo | {"only_aborted": True, "rollout": ""}
    assert "This run has planned nothing" in run.play({NAME + "undo": begun})["msg"]

    ending = {NAME + "result": {**run.rollouts, **ROLLOUT, "epoch": 1, "rollback": True}}
    told = run.play(ending)
    assert (told["outcome"], told["good"]) == ("owed", False)
    back = {**run.rollouts, **ROLLOUT, "epoch": 2, "phase": "rollback", "hosts": ["a", "b"], "result": "back"}
    entries = {"b": {"nginx": {"from": "old", "to": "new", "shown": False}}}
    told = run.play({NAME + "journal": back | {"back": entries}}, b={"back": answer(changed=True)})
    assert told["outcomes"] == {"b": "rolled_back"}
    told = run.play(ending)
    assert (told["outcome"], told["good"]) == ("rolled_back", True)


@pytest.mark.parametrize(
    ("task", "given"),
    [
        ("undo", {"take_over": True}),
        *(("control", {"what": what, "reason": "x"}) for what in ("abort", "pause", "promote")),
    ],
)
def test_a_fleet_that_leaves_out_touched_hosts_is_refused(
    run: Run, monkeypatch: pytest.MonkeyPatch, task: str, given: dict[str, Any]
) -> None:
    run.plan(BOTH)
    applied(run, "b", LOOK)
    monkeypatch.setattr(ControllerAction, "extra", lambda _self: {"fleet": "a"})
    given |= {**run.rollouts, "policies": ["nginx"]}
    lines = run.journal()
    assert "The fleet 'a' leaves out b" in run.play({NAME + task: given | {"fleet": ["a"]}})["msg"]
    assert run.journal() == lines
    assert "leaves out" not in run.play({NAME + task: given | {"fleet": ["a", "b"]}}).get("msg", "")


def test_the_end_of_a_rollout_asks_for_no_fleet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run.plan(BOTH)
    applied(run, "b", LOOK)
    monkeypatch.setattr(ControllerAction, "extra", lambda _self: {"fleet": "a"})
    ends = {**run.rollouts, **ROLLOUT, "policies": ["nginx"], "only_aborted": True}
    assert run.play({NAME + "undo": ends})["order"] == []


def test_a_host_that_shows_it_was_never_changed_is_not_owed(run: Run) -> None:
    run.plan(BOTH)
    applied(run, "b", None)
    back = {**run.rollouts, **ROLLOUT, "epoch": 2, "phase": "rollback", "hosts": ["b"], "result": "back"}
    entries = {"b": {"nginx": {"from": "old", "to": "", "shown": True}}}
    told = run.play({NAME + "journal": back | {"back": entries}}, b={"back": answer(skipped=True)})
    assert told["outcomes"] == {"b": "not_needed"}


def test_a_host_that_holds_a_later_rollout_is_owed(run: Run) -> None:
    run.plan(BOTH)
    applied(run, "b", None)
    applied(run, "b", LOOK)
    given = {**run.rollouts, **ROLLOUT, "epoch": 2, "phase": "rollback", "hosts": ["b"], "result": "back"}
    entry = {"from": "old", "to": "new", "shown": False, "later": "it holds another one."}
    untouched = answer(changed=False, state="unchanged", digest="newer", **{"from": "newer"})
    told = run.play({NAME + "journal": given | {"back": {"b": {"nginx": entry}}}}, b={"back": untouched})
    assert told["outcomes"] == {"b": "owed"}
    assert run.journal()[-1]["detail"] == "it holds another one."
    assert ended(run, rollback=True)["outcome"] == "owed"


def test_a_file_of_approvers_is_the_same_one_everywhere(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.work / "approvers.yml").write_text("{allowed_signers: signers, approvers: [alice]}")
    monkeypatch.chdir(run.work)
    assert "signers' cannot be read" in run.plan(BOTH, approvers="approvers.yml")["msg"]
    (run.work / "signers").write_text("")
    assert "names 1 approvers." in run.plan(BOTH, approvers="approvers.yml", approvals=2)["msg"]
    run.plan(BOTH, approvers="approvers.yml")
    made = json.loads((run.work / "rollouts/nginx-e0001/plan.json").read_text())["plan"]["options"]
    assert (made["approvers"], made["approvals"]) == (str(run.work / "approvers.yml"), 1)
    assert len(made["approvers_digest"]) == 64


def test_all_mistakes_are_told_at_once_and_leave_no_lock(run: Run) -> None:
    refused = {"failed": True, "msg": "unit 'x' does not exist.", "state": "refused"}
    facts = BOTH | {
        "a": {"look": {"policies": {"nginx": refused}}},
        "b": {"look": LOOK, "bulkhead_policies": "nginx-edge", "bulkhead_risk": "huge"},
    }
    told = run.plan(facts, soak=-1, confirm_within=0, probe_method="fast", approvers=f"{run.work}/none")
    for fault in (
        "Nothing was changed. ",
        "a: unit 'x' does not exist.",
        "Host 'b' has bulkhead_policies 'nginx-edge'; write a list of names, such as [nginx].",
        "Host 'b' has bulkhead_risk 'huge'; write one of critical, high, medium, low.",
        "rollout_soak is '-1'; write seconds, 0 or more.",
        "rollout_confirm_within is '0'; write 5 to 86400 seconds.",
        "rollout_probe_method is 'fast'; write one of auto, reload, clone, none.",
        "/none' cannot be read: No such file or directory.",
    ):
        assert fault in told["msg"]
    assert not (run.work / "rollouts").exists()


def test_a_plan_that_cannot_be_written_gives_the_lock_back(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_store: store.Store, _plan: Any) -> None:
        raise RolloutError("the disk is full.")

    monkeypatch.setattr(store.Store, "write_plan", full)
    assert "the disk is full." in run.plan(BOTH)["msg"]
    assert not (run.work / "rollouts/nginx.lock").exists()


def test_an_abort_tells_which_rollout_runs(run: Run) -> None:
    run.plan(BOTH)
    run.plan(BOTH)
    control = {**run.rollouts, "policies": ["nginx"], "what": "abort", "by": "eve", "reason": "no"}
    told = run.play({NAME + "control": control | ROLLOUT})
    assert told["lines"] == [
        "nginx-e0001: abort by eve: no.",
        "It is not what runs now: that is a rollout to 2 hosts, 'nginx-e0002'."
        " Its hosts go back by the rollback once that has ended.",
    ]
    assert not told["running"]
    assert run.play({NAME + "control": control})["running"]


@pytest.mark.parametrize("what", ["abort", "pause"])
@pytest.mark.parametrize(
    ("doing", "told"),
    [
        ("catching up with nginx-e0001", "and hosts catch up with it: one wave, which nobody can {what}."),
        ("a rollback of nginx-e0001", "is being rolled back: there is nothing to {what}."),
        ("a rollout to 2 hosts", "has passed: there is nothing to {what}."),  # it is just about to end
    ],
)
def test_who_runs_beside_a_rollout_that_passed_is_not_stopped_by_it(
    run: Run, what: str, doing: str, told: str
) -> None:
    """Nobody is sent to the rollback, which would take all of it back, and nobody interrupts one."""
    run.plan(BOTH)
    path = run.work / "rollouts/nginx-e0001/journal.jsonl"
    journal.append(path, journal.Record("end", "pass", "nginx-e0001", 1))
    lock = run.work / "rollouts/nginx.lock"
    lock.write_text(json.dumps(json.loads(lock.read_text()) | {"what": doing}))
    control = {**run.rollouts, "policies": ["nginx"], "what": what, "reason": "x"}
    assert told.format(what=what) in run.play({NAME + "control": control})["msg"]
    lock.unlink()
    assert f"has passed: there is nothing to {what}." in run.play({NAME + "control": control})["msg"]


def test_of_a_controller_elsewhere_nobody_says_that_it_obeys(run: Run) -> None:
    run.plan(BOTH)
    path = run.work / "rollouts/nginx.lock"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "elsewhere", "pid": 7}))
    control = {**run.rollouts, "policies": ["nginx"], "what": "abort", "by": "eve", "reason": "no"}
    told = run.play({NAME + "control": control})
    assert told["running"]
    assert told["lines"][1] == (
        "Process 7 on 'elsewhere' runs it, which cannot be seen from here. It goes back within one poll. "
        f"If that process is gone nobody obeys: remove 'nginx.lock' in '{run.work}/rollouts', and abort again."
    )
    path.unlink()
    assert not run.play({NAME + "control": control})["running"]


@pytest.mark.parametrize(
    ("lease", "told"),
    [
        (0, "The wave counts as passed; resume goes on."),
        (
            60,
            "But its hosts take back what soaks; only a gate ends that: resume applies the wave and judges it again.",
        ),
    ],
)
def test_who_vouches_for_what_soaks_is_told_that_it_goes_back(run: Run, lease: int, told: str) -> None:
    run.plan(BOTH, poll=10, lease=lease)
    applied(run, "b", None)
    applied(run, "b", LOOK)
    path = run.work / "rollouts/nginx-e0001/journal.jsonl"
    # As the task of a wave writes it.
    journal.append(path, journal.Record("apply", "changed", "nginx-e0001", 1, "pilot", "b", policy="nginx"))
    journal.append(path, journal.Record("gate", "inconclusive", "nginx-e0001", 1, "pilot"))
    (run.work / "rollouts/nginx.lock").unlink()
    control = {**run.rollouts, "policies": ["nginx"], "what": "promote", "reason": "x"}
    assert run.play({NAME + "control": control})["lines"][1] == told


@pytest.mark.parametrize("what", ["abort", "pause", "promote"])
def test_who_asks_for_something_gives_a_reason(run: Run, what: str) -> None:
    run.plan(BOTH)
    control = {**run.rollouts, "policies": ["nginx"], "what": what, "reason": "  "}
    assert f"No reason is given to {what}." in run.play({NAME + "control": control})["msg"]
    assert len(run.journal()) == 1


def test_metrics_are_written_whatever_becomes_of_a_webhook(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: Any) -> list[str]:
        raise RuntimeError("http://x/S3CRET")

    monkeypatch.setattr(telling, "send", broken)
    run.plan(BOTH)
    given = {**run.rollouts, **ROLLOUT, "webhooks": ["http://x/S3CRET"], "metrics": str(run.work)}
    told = run.play({NAME + "tell": given})
    assert told["warnings"] == ["nobody was told: RuntimeError."]
    assert (run.work / "bulkhead_nginx.prom").exists()


def polled(run: Run, **more: Any) -> dict[str, Any]:
    given = {**run.rollouts, **ROLLOUT, "epoch": 1, "wave": "pilot", "hosts": ["b"], **more}
    return run.play({NAME + "watch": given | {"seen": "seen", "base": "base"}}, host="b", b={"seen": SEEN})


def test_a_soak_ends_however_the_clock_is_set(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without a reading of the clock that nobody can set."""
    run.plan(BOTH, soak=120, poll=60)
    applied(run, "b", LOOK)
    began = time.monotonic() - 50
    monkeypatch.setattr(time, "time", lambda: 0.0)
    looks = [polled(run), polled(run, began=began, last=began + 20)]
    assert [look["done"] for look in looks] == [False, True]
    found = [line["exposure"]["seconds"] for line in run.journal() if line["phase"] == "poll"]
    assert found == [0, pytest.approx(30, abs=1)]
    assert looks[1]["clock"] == pytest.approx(time.monotonic(), abs=5)


def test_the_last_look_of_another_rollout_is_none_of_this_one(run: Run) -> None:
    """As where one playbook has several: the time between them was not watched."""
    run.plan(BOTH, soak=120, poll=60)
    applied(run, "b", LOOK)
    began = time.monotonic() - 50
    polled(run, began=began, last=began - 3000)
    assert run.journal()[-1]["exposure"]["seconds"] == pytest.approx(50, abs=1)


def test_a_soak_ends_when_its_time_is_over(run: Run) -> None:
    run.plan(BOTH, soak=120, poll=1)
    applied(run, "b", LOOK)
    assert [polled(run, began=time.monotonic() - age)["done"] for age in (60, 121)] == [False, True]


def test_a_slice_of_a_job_is_refused(run: Run) -> None:
    run.variables = {"awx_job_slice_count": 2}
    assert "a rollout cannot be sliced" in run.plan(BOTH)["msg"]
    assert not (run.work / "rollouts").exists()


def test_a_host_may_take_only_some_of_the_policies(run: Run) -> None:
    both = {"policies": dict.fromkeys(("nginx", "redis"), LOOK["policies"]["nginx"])}
    facts = {"a": {"look": both}, "b": {"look": LOOK, "bulkhead_policies": ["nginx"]}}
    told = run.plan(facts, policies=["nginx", "redis"], waves=[100], pilot=0)
    assert told["rollout"] == "nginx+redis-e0001"
    assert [line for line in told["lines"] if "->" in line] == [
        "  a nginx  medium    old -> new",
        "  a redis  medium    old -> new",
        "  b nginx  medium    old -> new",
    ]


def test_a_host_that_takes_none_of_the_policies_is_told(run: Run) -> None:
    other = {"look": LOOK, "bulkhead_policies": ["ngnix", "redis"]}
    assert run.plan({"a": {"look": LOOK}, "b": other})["lines"][-1] == (
        "left out: b, by bulkhead_policies [ngnix, redis]"
    )
    told = run.plan({"a": other, "b": other})["msg"]
    assert "No host to change." in told
    assert "left out: a, b, by bulkhead_policies [ngnix, redis]" in told


def test_outside_of_the_windows_a_wave_is_paused(run: Run) -> None:
    run.plan(BOTH, windows=["mon 00:00-00:01"])
    told = stands(run, "b")
    if told["verdict"] == "pass":  # it is Monday, just after midnight
        return
    assert (told["verdict"], told["detail"][:35]) == ("pause", "Outside of the maintenance windows;")
    assert [line["outcome"] for line in run.journal() if line["phase"] == "gate"] == ["pause"]


def test_a_rollback_takes_a_higher_epoch(run: Run) -> None:
    run.plan(BOTH)
    undo = {**run.rollouts, "policies": ["nginx"], "take_over": True}
    assert [run.play({NAME + "undo": undo})["epoch"] for _ in range(2)] == [2, 3]
    # Hosts know what the journal knows, whatever became of the file.
    path = run.work / "rollouts/nginx-e0001/journal.jsonl"
    journal.append(path, journal.Record("resume", "begun", "nginx-e0001", 7))
    (run.work / "rollouts/nginx.epoch").unlink()
    assert run.play({NAME + "undo": undo})["epoch"] == 8


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


@pytest.mark.parametrize("malformed", [{"survey": SURVEY | {"health": [1]}}, {"proof": {"tried": "x"}}])
def test_a_gate_that_cannot_read_an_answer_is_inconclusive(run: Run, malformed: dict[str, Any]) -> None:
    run.plan(BOTH)
    applied(run, "b", LOOK)
    names = {"apply": "applied", "probe": "proof"}
    gate = {NAME + "gate": {**run.rollouts, **ROLLOUT, "epoch": 1, "wave": "pilot", **names}}
    told = run.play(gate, host="b", b={"applied": SEEN, "proof": answer(**{"survey": SURVEY} | malformed)})
    assert (told["verdict"], told.get("failed", False)) == ("inconclusive", False)
    assert "What the hosts answered is malformed: " in told["detail"]


def ended(run: Run, **more: Any) -> dict[str, Any]:
    return run.play({NAME + "result": {**run.rollouts, **ROLLOUT, "epoch": 2, **more}})


def reopened(run: Run, **more: Any) -> dict[str, Any]:
    receipts = {"a": {"seen": SEEN}, "b": {"seen": SEEN}}
    given = {"policies": ["nginx"], "receipt": "seen", **run.rollouts, **more}
    return run.play({NAME + "reopen": given}, **receipts)


@pytest.mark.parametrize("outcome", ["rolled_back", "owed"])
def test_a_rollout_that_was_taken_back_does_not_go_on(run: Run, outcome: str) -> None:
    run.plan(BOTH)
    applied(run, "b", None)
    applied(run, "b", LOOK)
    given = {**run.rollouts, **ROLLOUT, "epoch": 2, "phase": "rollback", "hosts": ["b"], "result": "back"}
    entries = {"b": {"nginx": {"from": "old", "to": "new", "shown": False}}}
    result = answer(changed=True) if outcome == "rolled_back" else answer(unreachable=True)
    run.play({NAME + "journal": given | {"back": entries}}, b={"back": result})
    assert ended(run, rollback=True)["outcome"] == outcome
    lines = run.journal()
    assert "'nginx-e0001' was rolled back" in reopened(run)["msg"]
    for what in ("pause", "promote"):
        asked = {"policies": ["nginx"], "what": what, "reason": "x", **run.rollouts}
        assert "it does not go on" in run.play({NAME + "control": asked})["msg"]
    assert "there is nothing to catch up to" in reopened(run, catch_up=True)["msg"]
    assert "no host catches up to it" in reopened(run, catch_up=True, **ROLLOUT)["msg"]
    assert stands(run, "b")["verdict"] == "inconclusive"
    # Whoever asks again how it ended hears the same, and the journal stays.
    told = ended(run)
    assert (told["outcome"], told["good"]) == (outcome, outcome == "rolled_back")
    assert run.journal() == lines


def test_a_policy_that_was_edited_while_the_rollout_runs_begins_no_wave(run: Run, tmp_path: Path) -> None:
    text = (Path(__file__).parents[4] / "policies/nginx.yml").read_text()
    path = tmp_path / "nginx.yml"
    path.write_text(text)
    given = {"policies": ["nginx"], "policies_dirs": [str(tmp_path)]}
    run.plan(BOTH, **given)
    told = stands(run, "b", hosts=["b"], **given)
    assert told["verdict"] == "pass"
    assert (told["planned"]["b"]["nginx"]["digest"], told["planned"]["b"]["nginx"]["fingerprint"]) == (
        "new",
        "x",
    )
    assert len(told["planned"]["b"]["nginx"]["manifest"]) == 64
    path.write_text(text.replace("max_open: 4096", "max_open: 4097"))
    told = stands(run, "b", hosts=["b"], **given)
    assert told["verdict"] == "inconclusive"
    assert "is not what 'nginx-e0001' was planned with" in told["detail"]
    path.write_text(":")
    assert stands(run, "b", hosts=["b"], **given)["verdict"] == "inconclusive"
    gates = [line for line in run.journal() if line["phase"] == "gate"]
    assert [(line["wave"], line["outcome"]) for line in gates] == [("pilot", "inconclusive")] * 2
    path.write_text(text)
    assert stands(run, "b", hosts=["b"], **given)["verdict"] == "pass"


def test_a_batch_with_a_host_of_another_wave_does_not_begin(run: Run) -> None:
    run.plan(BOTH)
    told = stands(run, "b", hosts=["b", "a"])
    assert (told["verdict"], told["detail"]) == (
        "inconclusive",
        "The play has hosts at work that are not of pilot: a.",
    )
    assert [(line["wave"], line["outcome"]) for line in run.journal() if line["phase"] == "gate"] == [
        ("pilot", "inconclusive")
    ]


def test_a_host_that_no_play_can_name_is_planned_nowhere(run: Run) -> None:
    told = run.plan(BOTH, fleet=["a", "b c"])
    assert "A play cannot name these hosts: 'b c'." in told["msg"]
    assert not (run.work / "rollouts").exists()


def test_a_host_that_is_gone_shifts_no_wave(run: Run) -> None:
    facts = {name: {"look": LOOK, "seen": SEEN} for name in ("a", "b", "c")}
    run.variables = {"hostvars": facts}
    run.plan({}, fleet=["a", "b", "c"], waves=["1 hosts", 100], max_failed=1)
    del facts["b"]
    given = {"policies": ["nginx"], "receipt": "seen", **run.rollouts}
    told = run.play({NAME + "reopen": given})
    assert (told["order"], told["serial"]) == (["a", "c"], [1, 1])
    assert "  b: it is not in the inventory any more" in told["lines"]
    # Its own wave has no host left, so a person decides whether to go on without it.
    del facts["a"]
    run.play({NAME + "reopen": given})
    gate = [line for line in run.journal() if line["phase"] == "gate"][-1]
    assert (gate["wave"], gate["outcome"]) == ("pilot", "inconclusive")


def test_the_outcome_of_a_host_that_is_gone_is_journaled_with_its_wave(run: Run) -> None:
    run.variables = {"hostvars": BOTH}
    run.plan({}, pilot=2)
    run.variables = {"hostvars": {"b": {"result": LOOK}}}
    given = {**run.rollouts, **ROLLOUT, "epoch": 1, "phase": "apply", "hosts": ["b"], "result": "result"}
    told = run.play({NAME + "journal": given | {"wave": "pilot"}})
    assert told["outcomes"] == {"b": "changed", "a": "unreachable"}


@pytest.mark.parametrize("task", ["reopen", "undo", "status", "control", "approve"])
def test_a_rollout_of_another_policy_is_left_alone(run: Run, task: str) -> None:
    run.plan(BOTH)
    more = {"control": {"what": "abort", "reason": "x"}, "approve": {"by": "alice"}}.get(task, {})
    given = {"policies": ["redis"], **run.rollouts, **ROLLOUT, **more}
    lines = run.journal()
    assert "is a rollout of 'nginx', and redis was named" in run.play({NAME + task: given})["msg"]
    assert run.journal() == lines


HELD = answer(
    active="new",
    rollout="nginx-e0001",
    recent=[
        {"event": event, "from": "old", "to": "new", "rollout": "nginx-e0001", "epoch": 1}
        for event in ("APPLYING", "CONFIRMED")
    ],
)


def rebuilt(run: Run, **facts: Any) -> dict[str, Any]:
    given = {"policies": ["nginx"], "fleet": ["a", "b"], "receipt": "seen", **run.rollouts}
    return run.play({NAME + "rebuild": given}, **facts)


def test_a_folder_that_was_lost_is_rebuilt_with_those_who_did_not_answer(run: Run) -> None:
    away = {"unreachable": True, "msg": "away"}
    told = rebuilt(run, a={"seen": HELD}, b={"seen": away})
    assert (told["hosts"], told["silent"]) == ({"a": "changed", "b": "unreachable"}, ["b"])
    assert not (run.work / "rollouts/nginx.lock").exists()
    assert ended(run, rollback=False)["outcome"] == "inconclusive"
    assert ended(run, rollback=True)["outcome"] == "owed"
    assert "has been worked with since" in rebuilt(run, a={"seen": HELD}, b={"seen": HELD})["msg"]


def test_whom_nobody_asked_is_told_when_a_folder_is_rebuilt(run: Run) -> None:
    given = {"policies": ["nginx"], "fleet": ["a"], "receipt": "seen", **run.rollouts}
    run.variables = {"groups": {"all": ["localhost", "a", "b", "c"]}}
    told = run.play({NAME + "rebuild": given}, a={"seen": HELD})["lines"]
    assert told[-1] == "  not asked: b, c; a rollback of this does not know them"
    run.variables = {"groups": {"all": ["localhost", "a"]}}
    assert run.play({NAME + "rebuild": given}, a={"seen": HELD})["lines"][-2] == "  a: changed"


def test_rebuilding_again_replaces_what_nobody_has_used(run: Run) -> None:
    rebuilt(run, a={"seen": HELD})
    told = rebuilt(run, a={"seen": HELD}, b={"seen": HELD})
    assert (told["hosts"], told["silent"]) == ({"a": "changed", "b": "changed"}, [])
    assert len(list((run.work / "rollouts").glob(".nginx-e0001.*/plan.json"))) == 1


def test_a_rollout_that_is_still_there_is_not_rebuilt(run: Run) -> None:
    run.plan(BOTH)
    lines = run.journal()
    assert "'nginx-e0001' is still in " in rebuilt(run, a={"seen": HELD})["msg"]
    (run.work / "rollouts/nginx-e0001/plan.json").write_text("{}")
    assert "is no plan" in rebuilt(run, a={"seen": HELD})["msg"]
    assert run.journal() == lines


def test_a_rebuilt_rollout_is_judged_where_every_host_has_it(run: Run) -> None:
    rebuilt(run, a={"seen": HELD}, b={"seen": HELD})
    given = {"policies": ["nginx"], "receipt": "seen", **run.rollouts}
    old = answer(active="old", rollout="nginx-e0000")
    told = run.play({NAME + "reopen": given}, a={"seen": HELD}, b={"seen": old})
    assert "resuming only judges it: b holds 'old', not 'new'." in told["msg"]
    told = run.play({NAME + "reopen": given}, a={"seen": HELD}, b={"seen": HELD})
    assert (told["order"], told["serial"]) == (["a", "b"], [2])


def test_an_approval_that_does_not_count_takes_no_good_one_with_it(run: Run) -> None:
    for name in ("alice", "mallory"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(run.work / name)]
        subprocess.run(words, check=True, timeout=60)
    (run.work / "signers").write_text(f"alice {(run.work / 'alice.pub').read_text()}")
    (run.work / "approvers.yml").write_text("{allowed_signers: signers, approvers: [alice]}")
    run.plan(BOTH, approvers=str(run.work / "approvers.yml"), author="carol")

    def approve(key: str) -> dict[str, Any]:
        given = {"policies": ["nginx"], "by": "alice", "key": str(run.work / key), **run.rollouts}
        return run.play({NAME + "approve": given})

    folder = run.work / "rollouts/nginx-e0001/approvals"
    assert "does not count" in approve("mallory")["msg"]
    assert not list(folder.iterdir())
    assert approve("alice")["changed"]
    shown = run.play({NAME + "approve": {"policies": ["nginx"], "by": "alice", **run.rollouts}})["lines"]
    assert "1 of 1" in shown[-2]
    good = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "does not count" in approve("mallory")["msg"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == good
    path = run.work / "rollouts/nginx-e0001/journal.jsonl"
    journal.append(path, journal.Record("end", "pass", "nginx-e0001", 1))
    assert approve("alice")["changed"]  # for hosts that catch up
    journal.append(path, journal.Record("control", "abort", "nginx-e0001", 1))
    assert "has ended: there is nothing to agree to" in approve("alice")["msg"]
