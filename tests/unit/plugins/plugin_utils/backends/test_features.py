# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recorded hosts, and facts that name no system."""

from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import features as on_host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS


def test_host_and_controller_compute_the_same_fingerprint():
    data = features.reference("debian13", "nginx.service").data
    assert features.fingerprint(data) == on_host.fingerprint(data)


def test_a_record_has_the_unit_asked_for_or_a_plain_one():
    assert features.reference("debian12", "nginx.service").data["unit"]["service"]["Type"] == ["forking"]
    plain = features.reference("debian12", "own.service").data["unit"]
    assert (plain["name"], plain["load_state"], plain["service"]) == ("own.service", "loaded", {})


def test_every_linux_record_has_the_facts_that_the_compiler_reads():
    for name in features.names():
        record = features.reference(name)
        if record.os is OS.LINUX:
            assert set(record.data) == set(features.LinuxFeatures.__annotations__)


def test_an_unknown_record_names_the_known():
    with pytest.raises(BackendError, match=r"No recorded features named 'beos'. Recorded are: .*debian12"):
        features.reference("beos")


def test_facts_of_no_known_system_are_refused():
    with pytest.raises(BackendError, match="os is 'beos', not one of linux, windows, macos"):
        features.from_data({"os": "beos"})


def test_a_host_is_described_for_people():
    assert (
        features.from_data({"os": "linux", "systemd": {"version": 252}}).name
        == "Linux (systemd 252, nft none)"
    )
