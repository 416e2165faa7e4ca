# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import answers


def test_a_look_keeps_what_plans_need_and_not_the_files() -> None:
    answer = {
        "from": "old",
        "digest": "new",
        "changed": True,
        "diff": [{"before": "", "after": "1\n", "after_header": "/etc/a"}],
        "verdicts": {
            "a": {"status": "enforced", "detail": ""},
            "b": {"status": "partial", "detail": "half"},
        },
    }
    short = {"from": "old", "digest": "new", "changed": True}
    assert answers.brief("look", answer, False) == {**short, "notes": []}
    assert answers.brief("look", answer, True) == {
        **short,
        "gaps": {"b": ["partial", "half"]},
        "notes": ["/etc/a: +1 -0 lines"],
    }


def test_a_probe_keeps_the_survey_and_what_the_proof_says() -> None:
    clause = {
        "clause": "c",
        "outcome": "failed",
        "failures": ["f"],
        "unsure": [],
        "probes": [],
        "readbacks": [1],
    }
    answer = {"survey": {"active": "new", "drift": ["x"] * 99}, "evidence": {"clauses": [clause]}}
    assert answers.brief("probe", answer, False) == {
        "survey": {"active": "new"},
        "proof": {"tried": 1, "answered": 0, "failures": ["c: f"], "unsure": []},
    }
    malformed = answers.brief("probe", {"evidence": {"clauses": [1]}}, False)
    assert malformed == {"proof": {"unsure": ["the evidence of the host is malformed"]}}


@pytest.mark.parametrize("operation", ["look", "receipts"])
@pytest.mark.parametrize("epoch", ["seven", "7", 7.0, True, -1, 2**53 + 1, [7]])
def test_an_epoch_that_is_none_is_an_answer_that_failed(operation: str, epoch: object) -> None:
    short = answers.brief(operation, {"active": "new", "changed": True, "epoch": epoch}, False)
    assert (short["failed"], short["changed"]) == (True, False)
    assert "active" not in short
    assert f"the epoch {epoch!r} is none" in short["msg"]


@pytest.mark.parametrize("epoch", ["abc", [1], {}])
def test_an_epoch_of_a_receipt_that_is_none(epoch: object) -> None:
    short = answers.brief("receipts", {"active": "new", "recent": [{"epoch": 1}, {"epoch": epoch}]}, False)
    assert short["failed"] and f"the epoch {epoch!r} is none" in short["msg"]
    assert answers.brief("receipts", {"recent": [{"epoch": 1}, 7]}, False) == {"recent": [{"epoch": 1}, 7]}


def test_an_epoch_that_is_one_is_kept() -> None:
    assert answers.brief("receipts", {"epoch": 2**53}, False) == {"epoch": 2**53}
    assert answers.brief("receipts", {"epoch": None}, False) == {"epoch": None}


def test_one_bad_policy_makes_the_task_bad() -> None:
    joined = answers.joined(
        {
            "nginx": {"changed": True},
            "redis": {"failed": True, "msg": "no."},
            "db": {"unreachable": True, "msg": "gone"},
        }
    )
    assert (joined["changed"], joined["failed"], joined["unreachable"]) == (True, True, True)
    assert answers.of(joined, "redis") == {"failed": True, "msg": "no."}
    assert answers.of(joined, "nobody") is None
    assert answers.of({"unreachable": True, "msg": "gone"}, "nginx") == {"unreachable": True, "msg": "gone"}
    assert answers.of(None, "nginx") is None


def test_a_result_of_a_host_that_is_not_there() -> None:
    assert answers.result({"a": {"x": 1}}, "a", "x") == 1
    assert answers.result({"a": {"x": 1}}, "gone", "x") is None


def test_an_apply_keeps_the_nonce_of_what_soaks() -> None:
    assert answers.brief(
        "apply", {"changed": True, "state": "soaking", "nonce": "n", "diff": [1]}, False
    ) == {
        "changed": True,
        "state": "soaking",
        "nonce": "n",
    }


def test_a_host_is_reached_where_any_of_its_policies_is_there() -> None:
    lost, there = {"failed": True, "state": ""}, {"changed": True, "state": "confirmed"}
    assert answers.reached({"nginx": there, "redis": lost}) is True
    assert answers.reached({"nginx": {"changed": False, "state": "unchanged"}}) is True
    assert answers.reached({"nginx": lost, "redis": {"unreachable": True}}) is False
    assert answers.reached({}) is False
