# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from samples import clause, host

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import evidence, fleet


def gather(*hosts):
    return fleet.gather([evidence.parse(item, "x") for item in hosts])


def test_the_grades_of_enforced():
    names = [("probe", "readback"), ("readback",), ()]
    found = [evidence.parse(host("h", clause(by=list(by))), "x").clauses[0] for by in names]
    assert [fleet.state(item) for item in found] == ["proven", "read", "claimed"]
    assert fleet.state(None) == "missing"


def test_a_host_without_evidence_makes_the_fleet_not_hold():
    missing = {"format": 1, "host": "h2", "policy": "nginx", "missing": "the host could not be reached"}
    (one,) = gather(host("h1"), missing)
    assert not one.ok
    assert [cell.state for cell in one.rows[0].cells] == ["proven", "missing"]
    assert one.rows[0].worst == "proven"  # it is a trouble of the host and not of every clause
    assert fleet.summary([one])["missing"] == 1


def test_rows_show_the_worst_and_join_hosts_that_showed_the_same():
    noisy = clause()
    noisy["probes"][0]["control"] = "outside: 99 bytes"
    bad = clause(outcome="failed", failures=["x"])
    (one,) = gather(host("h1"), host("h2", noisy), host("h3", bad))
    assert one.rows[0].worst == "failed"
    assert [names for names, _found in one.rows[0].groups] == [("h3",), ("h1", "h2")]


def test_a_clause_that_a_host_does_not_have_is_no_gap():
    (one,) = gather(host("h1", clause(), clause("memory.limit")), host("h2"))
    assert [cell.state for cell in one.rows[1].cells] == ["proven", "none"]
    assert one.ok
    assert [name for name, _rows in one.sections] == ["filesystem", "memory"]


def test_summary_counts_denials_that_were_witnessed():
    figures = fleet.summary(gather(host("h1"), host("h2")))
    assert (
        figures["hosts"],
        figures["clauses"],
        figures["probes"],
        figures["denials"],
        figures["proven"],
    ) == (2, 2, 2, 2, 2)
