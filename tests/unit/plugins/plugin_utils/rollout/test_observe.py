# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.verdicts import objection
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import observe
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import PlannedHost
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.state import HostState


@pytest.mark.parametrize(
    ("result", "outcome", "detail"),
    [
        ({"changed": True}, "changed", ""),
        ({"changed": False}, "unchanged", ""),
        ({"failed": True, "state": "refused", "msg": "no  such\nunit."}, "refused", "no such unit."),
        ({"failed": True, "state": "unchanged", "msg": "nft says no."}, "refused", "nft says no."),
        ({"failed": True, "state": "reverted", "changed": True}, "reverted", ""),
        ({"failed": True, "state": "revert_failed"}, "failed", ""),
        ({"failed": True, "msg": "module crashed"}, "failed", "module crashed"),
        (
            {"unreachable": True, "failed": True, "state": "refused", "msg": "no route"},
            "unreachable",
            "no route",
        ),
    ],
)
def test_outcome_of_an_apply(result: dict[str, Any], outcome: str, detail: str) -> None:
    got = observe.outcome({"from": "old", "digest": "new", **result})
    assert (got.outcome, got.from_digest, got.to_digest, got.detail) == (outcome, "old", "new", detail)


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        ({"changed": True}, "rolled_back"),
        ({"changed": False}, "not_needed"),
        ({"failed": True, "state": "refused"}, "failed"),
        ({"unreachable": True}, "owed"),
        ({"skipped": True, "changed": False}, "owed"),
    ],
)
def test_outcome_of_a_rollback(result: dict[str, Any], outcome: str) -> None:
    assert observe.rollback_outcome(result).outcome == outcome


def test_a_host_that_is_back_and_unwell_says_so() -> None:
    assert observe.rollback_outcome({"changed": True, "note": "no better."}).detail == "no better."


def test_a_long_message_is_cut() -> None:
    assert observe.message({"msg": "x" * 1000}) == "x" * 399 + "…"


def test_refusals_name_the_hosts_of_each_message() -> None:
    looks = {
        "a": {"failed": True, "msg": "clause x is refused."},
        "b": {"failed": True, "msg": "clause x is refused."},
        "c": {"failed": True},
        "d": {"unreachable": True, "failed": True, "msg": "gone"},
        "e": {"changed": True},
        "f": None,
    }
    assert observe.refusals(looks.items()) == ["a, b: clause x is refused.", "c: failed without a message."]


def test_the_same_refusal_of_several_hosts_is_told_once_and_to_its_end() -> None:
    verdicts = [{"clause": f"clause {n}", "status": "refused", "detail": "why " * 20} for n in range(20)]
    bundle = {"policy": "nginx", "os": "debian12", "verdicts": verdicts}
    looks = {
        f"{host} {policy}": {
            "failed": True,
            "msg": objection(bundle | {"policy": policy}, (), host, date.min),
        }
        for host, policy in (("nginx", "nginx"), ("n2", "nginx"), ("n2", "redis"))
    }
    both, redis = observe.refusals(looks.items())
    said = "is refused, nothing was changed: 20 clauses cannot be enforced as written. clause 0 is refused: why why"
    assert both.startswith(f"nginx nginx, n2 nginx: policy 'nginx' {said}")
    assert redis.startswith(f"n2 redis: policy 'redis' {said}")
    assert both.endswith('- {clause: "clause 19", on: debian12, reason: WHY, owner: WHO, until: 0001-04-01}')


def test_diff_lines_count_by_file() -> None:
    look = {
        "diff": [
            {"before_header": "/dev/null", "after_header": "/etc/a", "before": "", "after": "1\n2\n"},
            {"before_header": "/etc/b", "after_header": "/dev/null", "before": "--- x\n", "after": ""},
            {"before_header": "/etc/c", "after_header": "/etc/c", "before": "same", "after": "same"},
        ]
    }
    assert observe.diff_lines(look) == ["/etc/a: +2 -0 lines", "/etc/b: +0 -1 lines"]
    assert observe.diff_lines({}) == []


def test_a_planned_host() -> None:
    look = {"fingerprint": "f", "from": "old", "digest": "new"}
    assert observe.planned("h", "high", look) == PlannedHost("h", "high", "f", "old", "new")
    same = look | {"from": "new", "changed": False}
    assert observe.planned("h", "", same).current
    assert not observe.planned("h", "", same | {"changed": True}).current  # somebody has changed its files
    assert observe.planned("h", "", {"unreachable": True}) == PlannedHost("h", reachable=False)
    assert observe.planned("h", "", None).reachable is False


STATE = HostState("h", "pilot", "old", "new", apply="changed")
LOOK = {"active": "new", "service": {"state": "active", "restarts": 2, "invocation": "i"}, "health": []}
GOOD, BAD, OPEN = {"ok": True}, {"ok": False}, {"ok": None}


def clause(name: str, outcome: str, probes: list[Any], **texts: Any) -> dict[str, Any]:
    return {
        "clause": name,
        "outcome": outcome,
        "failures": [],
        "unsure": [],
        "probes": probes,
        "readbacks": [],
        **texts,
    }


PROOF = {
    "evidence": {
        "troubles": [],
        "clauses": [
            clause("a", "enforced", [GOOD], readbacks=[GOOD, GOOD]),
            clause("b", "failed", [BAD], failures=["read /x: allow"], unsure=["u"]),
            clause("c", "inconclusive", [OPEN], unsure=["no control"]),
            clause("d", "waived", [BAD], failures=["open"]),
        ],
    }
}


@pytest.mark.parametrize(
    ("answer", "failures", "unsure"),
    [
        (OPEN, (), ("the probes could not be run",)),
        (GOOD, ("the probes could not be run",), ()),
    ],
)
def test_a_trouble_of_all_clauses_is_told_once(answer: Any, failures: tuple[str], unsure: tuple[str]) -> None:
    trouble = "the probes could not be run"
    clauses = [clause(name, "failed", [answer], failures=[trouble]) for name in "ab"]
    proof = {"evidence": {"troubles": [trouble], "clauses": clauses}}
    seen = observe.observation(STATE, {}, {"proof": observe.proof(proof)})
    assert (seen.failures, seen.unsure) == (failures, unsure)


def test_a_read_back_speaks_even_where_no_probe_ran() -> None:
    bad = clause("a", "failed", [OPEN], readbacks=[BAD], failures=["slice is wrong", "no probe"])
    proof = observe.proof({"evidence": {"troubles": ["no probe"], "clauses": [bad]}})
    seen = observe.observation(STATE, {}, {"proof": proof})
    assert (seen.failures, seen.unsure) == (("a: slice is wrong",), ("no probe",))


def test_an_observation_out_of_the_results() -> None:
    checks = [
        {"id": "health[0]", "ok": True, "detail": ""},
        {"id": "health[1]", "ok": False, "detail": "502"},
    ]
    done = {"application": "active", "service": LOOK["service"]}
    survey = {**LOOK, "health": checks}
    seen = observe.observation(STATE, done, {"proof": observe.proof(PROOF), "survey": survey})
    assert (seen.applied, seen.digest, seen.wanted, seen.service) == ("changed", "new", "new", "active")
    assert (seen.ran_before, seen.restarts) == (True, 0)
    assert seen.health == (("health[0]", ""), ("health[1]", "502"))
    assert (seen.tried, seen.answered, seen.failures, seen.unsure) == (
        6,
        3,
        ("b: read /x: allow",),
        ("c: no control",),
    )


@pytest.mark.parametrize("nothing", [None, {}, {"failed": True}, {"unreachable": True}, {"skipped": True}])
def test_what_was_not_seen_stays_unknown(nothing: dict[str, Any] | None) -> None:
    seen = observe.observation(STATE, nothing, nothing)
    assert (seen.digest, seen.service, seen.health, seen.restarts, seen.tried, seen.ran_before) == (None,) * 6


def test_a_survey_counts_where_the_probes_failed() -> None:
    seen = observe.observation(STATE, {"service": LOOK["service"]}, {"failed": True, "survey": LOOK})
    assert (seen.digest, seen.restarts, seen.tried) == ("new", 0, None)


@pytest.mark.parametrize("outcome", ["", "intent"])
def test_an_intent_is_no_outcome(outcome: str) -> None:
    state = HostState("h", "pilot", "old", "new", apply=outcome)
    assert observe.observation(state, None, None).applied is None


@pytest.mark.parametrize(
    ("before", "after", "count"),
    [
        ((0, "i"), (0, "i"), 0),
        ((2, "i"), (5, "j"), 3),
        ((4, "i"), (0, "j"), 1),
        ((None, "i"), (0, "i"), None),
        ((0, "i"), (None, "i"), None),
    ],
)
def test_restarts(before: tuple[int | None, str], after: tuple[int | None, str], count: int | None) -> None:
    sides = [{"restarts": number, "invocation": name} for number, name in (before, after)]
    assert observe.restarts(*sides) == count


def test_an_open_debug_overlay_is_seen_and_named_by_the_plan() -> None:
    debug = {"open": True, "words": ["ptrace"], "until": "T", "by": "alice", "reason": "4711"}
    sentence = "open for debugging (ptrace) until T, by alice: 4711"
    state_ = HostState("h1", "wave 1", "", "new", apply="changed")
    assert observe.observation(state_, {}, {"survey": {"debug": debug}}).opened == sentence
    assert observe.observation(state_, {}, {"survey": {"debug": {"open": False}}}).opened == ""
    assert observe.note_lines({"debug": debug}) == [f"is {sentence}; the rollout closes it"]
    assert (
        observe.diff_lines({"debug": debug}) == observe.note_lines({"debug": debug})
        and observe.note_lines({}) == []
    )


def test_a_gate_holds_the_host_against_the_plan() -> None:
    held = HostState("a", "pilot", "old", "other", "changed")
    assert observe.observation(held, {"changed": True}, None, planned="new").wanted == "new"
    assert observe.observation(held, {"note": "another kind"}, None, planned="new").wanted == "other"
    assert observe.observation(held, {}, None).wanted == "other"
    assert observe.outcome({"changed": True, "note": "another kind"}).detail == "another kind"
