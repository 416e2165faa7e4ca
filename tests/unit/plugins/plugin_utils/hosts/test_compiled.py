# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.cache import Cache
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Manifest, Mode, Risk

TODAY = date(2026, 11, 24)
NOBODY = GroupAddresses({}, {})


def test_another_mode_is_another_policy() -> None:
    plain = compiled.load("nginx", [], NOBODY, None, TODAY)
    audit = compiled.load("nginx", [], NOBODY, "audit", TODAY)
    assert (plain.mode, audit.mode) == (Mode.ENFORCE, Mode.AUDIT)
    assert plain.digest != audit.digest
    assert compiled.load("nginx", [], NOBODY, "enforce", TODAY).digest == plain.digest


def test_each_distinct_set_of_features_is_compiled_once(tmp_path: Path) -> None:
    manifest = compiled.load("nginx", [], NOBODY, None, TODAY)
    cache = Cache(tmp_path)
    for name in ("debian12", "debian13", "debian12", "debian13", "debian12"):
        facts = features.reference(name, "nginx.service").data
        assert compiled.bundle(manifest, facts, TODAY, cache)["bundle"]["policy"] == "nginx"
    assert len(cache.made) == 2


def test_a_waiver_may_expire_overnight(tmp_path: Path) -> None:
    manifest = compiled.load("nginx", [], NOBODY, None, TODAY)
    facts = features.reference("debian12", "nginx.service").data
    cache = Cache(tmp_path)
    compiled.bundle(manifest, facts, TODAY, cache)
    compiled.bundle(manifest, facts, date(2026, 11, 25), cache)
    assert len(cache.made) == 2


def test_a_policy_without_a_linux_workload() -> None:
    manifest = Manifest("web", "1.0.0", "me", Risk.LOW, "", Mode.ENFORCE, (), ())
    with pytest.raises(HostsError, match="write 'workload: {linux: {unit: NAME.service}}'."):
        compiled.unit_of(manifest)
