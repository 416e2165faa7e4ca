# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from samples import clause, host

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import evidence


def test_parse_keeps_what_was_claimed_read_and_tried():
    found = evidence.parse(host(), "h1.json")
    (only,) = found.clauses
    assert (only.clause, only.outcome, only.proven, only.by) == (
        "filesystem.write",
        "enforced",
        True,
        ("probe", "readback"),
    )
    assert (only.probes[0].target, only.probes[0].ok) == ("/etc", True)
    assert (only.readbacks[0].want, only.readbacks[0].ok) == ("strict", True)
    assert not found.bad


def test_anything_but_true_is_not_ok():
    item = clause()
    item["readbacks"][0]["ok"] = "yes"
    item["probes"][0]["ok"] = 1
    (only,) = evidence.parse(host("h1", item), "x").clauses
    assert (only.readbacks[0].ok, only.probes[0].ok) == (False, None)


def test_all_faults_at_once():
    bad = host("h1", clause(outcome="fine", clause=3))
    bad["digest"] = None
    with pytest.raises(evidence.ReportError) as error:
        evidence.parse(bad, "h1.json")
    assert str(error.value) == (
        "h1.json: 'fine' is no outcome; h1.json: 'clause' is int and not str; "
        "h1.json: 'digest' is NoneType and not str."
    )


@pytest.mark.parametrize("data", [None, [], {}, {"format": 2}])
def test_other_formats_are_refused(data):
    with pytest.raises(evidence.ReportError, match="this is no evidence of format 1"):
        evidence.parse(data, "x.json")


def test_load_reads_every_policy_in_natural_order(tmp_path):
    for name in ("h10", "h2"):
        path = tmp_path / "nginx" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(host(name)))
    (tmp_path / "redis").mkdir()
    (tmp_path / "redis" / "h1.json").write_text("{broken")
    assert [item.host for item in evidence.load(tmp_path, ("nginx",))] == ["h2", "h10"]
    with pytest.raises(evidence.ReportError, match=r"redis/h1.json: cannot be read"):
        evidence.load(tmp_path)
