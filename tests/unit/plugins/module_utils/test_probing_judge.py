# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.bulkhead.fleet.plugins.module_utils.probing_judge import (
    drifted,
    judge,
    opened,
)

VERDICT = {"clause": "filesystem.write", "status": "enforced", "mechanisms": ["ProtectSystem"], "detail": ""}


def readback(ok=True, clause="filesystem.write"):
    return {
        "clause": clause,
        "kind": "unit_property",
        "key": "P",
        "relation": "equals",
        "want": "a",
        "got": "b",
        "ok": ok,
    }


def probe(ok=True, clause="filesystem.write"):
    got = {True: "deny", False: "allow", None: "unknown"}[ok]
    return {
        "clause": clause,
        "action": "write",
        "target": "/etc",
        "expect": "deny",
        "got": got,
        "ok": ok,
        "note": "why",
    }


def one(readbacks=(), probes=(), troubles=(), status="enforced"):
    return judge([{**VERDICT, "status": status}], readbacks, probes, troubles)[0]


def test_a_claim_without_anything_to_prove_it_stays_a_claim():
    found = one()
    assert (found["outcome"], found["proven"], found["by"]) == ("enforced", None, [])


def test_probe_and_readback_prove():
    found = one([readback()], [probe()])
    assert (found["outcome"], found["proven"], found["by"]) == ("enforced", True, ["probe", "readback"])


def test_one_false_readback_fails_it():
    found = one([readback(), readback(False)], [probe()])
    assert (found["outcome"], found["proven"], found["by"]) == ("failed", False, [])
    assert found["failures"] == ["unit_property P is b (wanted: equals a)"]


def test_one_probe_that_got_through_fails_even_a_partial_clause():
    found = one([readback()], [probe(), probe(False)], status="partial")
    assert found["outcome"] == "failed"
    assert found["failures"] == ["write /etc: allow instead of deny"]


def test_a_probe_that_could_not_tell_is_no_pass():
    found = one([readback()], [probe(None)])
    assert (found["outcome"], found["proven"], found["unsure"]) == ("inconclusive", None, ["write /etc: why"])


def test_troubles_of_the_host_fail_every_claim_and_are_named_in_short():
    found = one([readback()], [probe()], ["the main process is older: details"])
    assert (found["outcome"], found["failures"]) == ("failed", ["the main process is older"])


def test_waived_and_refused_stand_whatever_was_found():
    assert one([readback(False)], [probe(False)], ["trouble"], status="waived")["outcome"] == "waived"
    assert one([], [], ["trouble"], status="refused")["outcome"] == "refused"


def test_findings_without_a_verdict_are_not_dropped():
    found = judge([VERDICT], [readback(False, "memory.limit")], [probe(True, "network.listen")])
    assert [(item["clause"], item["status"], item["outcome"]) for item in found] == [
        ("filesystem.write", "enforced", "enforced"),
        ("memory.limit", "unclaimed", "failed"),
        ("network.listen", "unclaimed", "unclaimed"),
    ]


def test_what_a_debug_overlay_opens_is_never_enforced():
    for probes, outcome in (([probe()], "partial"), ([probe(False)], "failed")):
        results = [one(probes=probes)]
        opened(results, ["filesystem.write"], "open for debugging (ptrace)")
        assert results[0]["outcome"] == outcome
        assert results[0]["detail"] == "open for debugging (ptrace)"
    results = [one(probes=[probe()])]
    opened(results, ["processes.syscalls"], "open for debugging (ptrace)")
    assert results[0]["outcome"] == "enforced" and results[0]["detail"] == ""


def test_a_clause_that_has_drifted_does_not_hold():
    item = {"what": "/etc/x", "why": "content", "clauses": ["filesystem.write"], "repair": "write"}
    results = [one(probes=[probe()]), one(status="waived")]
    drifted(results, [item])
    assert results[0]["outcome"] == "failed" and results[0]["failures"] == ["drift: /etc/x: content"]
    assert results[1]["outcome"] == "waived" and results[1]["failures"] == []
    results = [one(probes=[probe()])]
    drifted(results, [{**item, "what": "features", "repair": "recompile"}])
    assert results[0]["outcome"] == "enforced"
