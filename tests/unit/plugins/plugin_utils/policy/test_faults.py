# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import (
    SHOWN,
    Fault,
    PolicyFaults,
    did_you_mean,
    quote,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Origin


def test_how_a_fault_reads() -> None:
    fault = Fault("wrong.", "write 1", "a.b[0]", Origin("app.yml", 2, 5), "     2 | a: b\n       |    ^")
    assert str(fault).splitlines() == [
        "app.yml:2:5: a.b[0]: wrong.",
        "     2 | a: b",
        "       |    ^",
        "    fix: write 1.",
    ]


def test_same_faults_are_told_once() -> None:
    assert len(PolicyFaults([Fault("a."), Fault("a."), Fault("b.")]).faults) == 2


def test_very_many_faults_are_kept_but_not_all_shown() -> None:
    faults = PolicyFaults(Fault(f"{n}.", origin=Origin("app.yml", n, 1)) for n in range(1, SHOWN + 11))
    assert len(faults.faults) == SHOWN + 10
    assert str(faults).startswith("60 faults in the policy:")
    assert str(faults).endswith("... and 10 more.")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", "'a'"),
        (True, "'true'"),
        (None, "'null'"),
        ("a\nb", "'a\\nb'"),
        ("\u202e", "'\\u202e'"),
        ("x" * 99, f"'{'x' * 77}...'"),
    ],
)
def test_quote(value: object, shown: str) -> None:
    assert quote(value) == shown


def test_did_you_mean() -> None:
    assert did_you_mean("limt", ["limit", "max"]) == "did you mean 'limit'; known here: limit, max"
    assert did_you_mean("zzz", ["limit", "max"]) == "known here: limit, max"
    assert did_you_mean("zzz", []) == ""
    assert did_you_mean("limit", ["lim\tit", "max"]) == "known here: max"
