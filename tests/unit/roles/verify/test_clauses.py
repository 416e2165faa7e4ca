# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second reading's own judgement, without a host: it must be able to disagree."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[4] / "roles/verify/files/test_clauses.py"
SPEC = importlib.util.spec_from_file_location("clauses", FILE)
clauses = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(clauses)


@pytest.mark.parametrize(
    ("kind", "relation", "want", "got", "ok"),
    [
        ("unit_property", "equals", "a b", "b a", True),
        ("unit_property", "equals", "a", "", False),
        ("unit_property", "contains", "noexec", "ro noexec", True),
        ("unit_property", "contains", "noexec", "ro", False),
        ("unit_property", "excludes", "add_key", "read", True),
        ("unit_property", "excludes", "add_key", "", False),  # nothing read proves nothing
        ("cgroup_file", "at_most", "64", "max", False),
        ("cgroup_file", "at_most", "64", "64", True),
        ("nft_rule", "equals", "network.connect", "network.connect\nother", True),
        ("nft_rule", "equals", "network", "network.connect", False),
        ("slice_match", "equals", "bulkhead-x.slice", "bulkhead.slice/bulkhead-x.slice", True),
        ("slice_match", "equals", "bulkhead-x.slice", "bulkhead.slice/bulkhead-x.slice\n4711", False),
        ("slice_match", "equals", "bulkhead-x.slice", "", False),
    ],
)
def test_agrees(kind, relation, want, got, ok):
    assert clauses.agrees({"kind": kind, "relation": relation, "want": want}, got) is ok


def test_a_host_is_asked_for_all_of_its_facts_at_once():
    facts = [
        {"kind": "unit_property", "key": "A", "unit": "x.service"},
        {"kind": "unit_state", "key": "net.service", "unit": ""},
        {"kind": "nft_rule", "key": "bulkhead_x", "unit": "net.service"},
        {"kind": "cgroup_file", "key": "pids.max", "unit": "x.service"},
    ]
    found = {"unit": "x.service", "policy": "x", "clauses": [{"readbacks": facts}]}
    assert clauses.wanted(found) == [
        "x.service", "x", "file", "x.service|pids.max", "table", "bulkhead_x", "unit", "net.service",
        "unit", "x.service",
    ]  # fmt: skip


def test_every_clause_is_a_test_case_and_bad_outcomes_fail_without_asking_the_host(tmp_path):
    def clause(name, outcome):
        return {
            "clause": name,
            "outcome": outcome,
            "failures": ["why"],
            "unsure": [],
            "detail": "",
            "readbacks": [],
        }

    found = {
        "clauses": [
            clause("a", "failed"),
            clause("b", "refused"),
            clause("c", "waived"),
            clause("d", "inconclusive"),
        ]
    }
    (tmp_path / "h1.json").write_text(json.dumps(found))
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={FILE.parent}",
         f"--junitxml={tmp_path}/junit.xml", f"{FILE}::test_clause"],
        env={"PATH": "/usr/bin:/bin", "BULKHEAD_EVIDENCE": str(tmp_path), "BULKHEAD_HOSTS": "h1"},
        capture_output=True, check=False,
    )  # fmt: skip
    cases = ET.parse(tmp_path / "junit.xml").getroot().findall(".//testcase")
    assert {case.get("name"): [(child.tag, child.get("message")) for child in case] for case in cases} == {
        "test_clause[h1-a]": [("failure", "Failed: a is failed: why")],
        "test_clause[h1-b]": [("failure", "Failed: b is refused: why")],
        "test_clause[h1-c]": [("skipped", "waived")],
        "test_clause[h1-d]": [("failure", "Failed: d is inconclusive: why")],
    }
