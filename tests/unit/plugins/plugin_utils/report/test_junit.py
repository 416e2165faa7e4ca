# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import xml.etree.ElementTree as ET

from samples import clause, host, hostile

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import evidence, fleet, junit


def render(*hosts):
    return ET.fromstring(junit.render(fleet.gather([evidence.parse(item, "x") for item in hosts])))


def test_one_case_for_each_host_and_clause():
    root = render(
        host(
            "h1", clause("a", "failed", failures=["why"]), clause("b"), clause("c", "waived", detail="until")
        ),
        host("h2", clause("a"), clause("b", "inconclusive", unsure=["maybe"])),
        {"format": 1, "host": "h3", "policy": "nginx", "missing": "gone"},
    )
    (suite,) = root
    assert suite.attrib == {
        "name": "bulkhead.nginx",
        "tests": "6",
        "failures": "1",
        "errors": "2",
        "skipped": "1",
    }
    cases = {
        (case.get("classname"), case.get("name")): [(c.tag, c.get("message")) for c in case] for case in suite
    }
    assert cases == {
        ("h1", "a"): [("failure", "why")], ("h1", "b"): [], ("h1", "c"): [("skipped", "until")],
        ("h2", "a"): [], ("h2", "b"): [("error", "maybe")], ("h3", "evidence"): [("error", "gone")],
    }  # fmt: skip


def test_hostile_text_stays_text_and_the_document_stays_well_formed():
    (suite,) = render(hostile())
    (case,) = suite
    assert case.get("name").startswith("</script><script>")
    assert "\x01" not in case.get("name")
