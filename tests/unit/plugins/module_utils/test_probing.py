# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import probing
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

MAPS = """00400000-0041f000 r--p 00000000 fe:00 1 /usr/bin/python3.11
0041f000-006b6000 r-xp 0001f000 fe:00 1 /usr/bin/python3.11
7f0000000000-7f0000001000 r-xp 00000000 fe:00 2 /usr/lib/with space.so
7ffd0e5f2000-7ffd0e5f4000 r-xp 00000000 00:00 0 [vdso]
"""


def test_executables_are_what_the_probe_program_needs_open():
    assert probing.executables(MAPS) == ["/usr/bin/python3.11", "/usr/lib/with space.so"]


def test_a_service_that_is_down_is_a_trouble_and_no_probe_is_run(monkeypatch):
    monkeypatch.setattr(probing, "show", lambda unit: {"ActiveState": "failed"})
    probe = {"id": "p", "clause": "c", "action": "read", "target": "/x", "expect": "deny"}
    bundle = {"workload": {"unit": "x.service"}, "probes": [probe], "readbacks": [], "mode": "enforce"}
    found = probing.run_probes(bundle, None, "auto")
    assert found.troubles == ["x.service is failed: start it, then verify again"]
    assert [(item["got"], item["ok"], item["note"]) for item in found.probes] == [
        ("unknown", None, "it was not tried")
    ]


def test_audit_mode_expects_no_denial(monkeypatch):
    monkeypatch.setattr(probing, "show", lambda unit: {"ActiveState": "active"})
    monkeypatch.setattr(probing, "platform_name", lambda: "here")
    probe = {"id": "p", "clause": "c", "action": "read", "target": "/x", "expect": "deny"}
    bundle = {
        "workload": {"unit": "x.service"}, "probes": [probe], "readbacks": [], "mode": "audit", "policy": "x",
        "digest": "d", "verdicts": [{"clause": "c", "status": "partial"}],
    }  # fmt: skip
    monkeypatch.setattr(probing.readback, "evaluate", lambda *_: [])
    evidence = probing.verify(bundle, "h")
    assert [(item["clause"], item["outcome"], item["probes"]) for item in evidence["clauses"]] == [
        ("c", "partial", [])
    ]


def test_under_a_profile_only_the_distributions_python_can_probe():
    profiled = {"artifacts": [{"kind": "apparmor"}]}
    probing._check_library(profiled, "/usr/lib/python3.13")
    probing._check_library({"artifacts": [{"kind": "nftables"}]}, "/opt/python/lib/python3.13")
    with pytest.raises(
        HostError, match=r"library in /opt/lib is closed by the policy's AppArmor profile: set ansible_p"
    ):
        probing._check_library(profiled, "/opt/lib")
