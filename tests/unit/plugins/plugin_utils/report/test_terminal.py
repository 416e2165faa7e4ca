# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from samples import clause, host, hostile

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import evidence, fleet, terminal


def lines(*hosts):
    return terminal.lines(fleet.gather([evidence.parse(item, "x") for item in hosts]))


def test_a_table_of_hosts():
    assert lines(host("h1"), host("h10", clause(outcome="partial"))) == [
        "nginx on 2 host(s): holds",
        "  host   proven     read  claimed  partial   waived      bad  digest",
        "  h1          1        0        0        0        0        0  abababababab",
        "  h10         0        0        0        1        0        0  abababababab",
    ]


def test_what_is_wrong_is_said_and_not_drowned():
    clauses = [clause(f"c{number:02d}", "failed", failures=["why"]) for number in range(20)]
    found = lines(host("h1", *clauses), {"format": 1, "host": "h2", "policy": "nginx", "missing": "gone"})
    assert found[0] == "nginx on 2 host(s): DOES NOT HOLD"
    assert "  h2    no evidence: gone" in found
    assert found[4] == "  ! h1 c00 failed: why"
    assert found[-1] == "  ! and 8 more, see the report"


def test_no_control_character_reaches_the_terminal():
    assert all(line.isprintable() for line in lines(hostile()))


def test_an_open_sandbox_and_drift_have_a_line_whatever_the_clauses_say():
    drift = [{"what": "/etc/x", "why": "content", "clauses": ["memory.limit"], "repair": "write"}]
    found = lines(host("h1", notes=["open for debugging (ptrace)"], drift=drift))
    assert found[-2:] == [
        "  * h1: open for debugging (ptrace)",
        "  * h1: drift: /etc/x: content (memory.limit)",
    ]
