# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from samples import host

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import publish
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report.evidence import ReportError


def test_store_keeps_each_hosts_answer_under_its_inventory_name(tmp_path):
    answers = {
        "h1": {"evidence": host("localhost")},
        "h2": {"unreachable": True, "msg": "ssh: no route"},
        "h3": {"failed": True, "msg": "policy 'nginx' is not applied on this host."},
    }
    assert publish.store(tmp_path, "nginx", answers, ["h1", "h2", "h3", "h4"])
    found = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "nginx").iterdir()}
    assert found["h1"]["host"] == "h1"
    assert {name: found[name].get("missing") for name in found} == {
        "h1": None,
        "h2": "the host could not be reached",
        "h3": "policy 'nginx' is not applied on this host.",
        "h4": "the host was not asked",
    }
    assert not publish.store(tmp_path, "nginx", answers, ["h1"])


@pytest.mark.parametrize("name", ["../h1", "", ".h1", "a/b", "a\nb", "-h"])
def test_no_host_can_name_a_file_elsewhere(tmp_path, name):
    with pytest.raises(ReportError, match="cannot name an evidence file"):
        publish.store(tmp_path, "nginx", {}, [name])
    assert list(tmp_path.iterdir()) == []


def test_write_says_why_it_cannot(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot be written: File exists"):
        publish.write(tmp_path / "file" / "report.html", b"")
