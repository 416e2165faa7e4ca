# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import Refusal

GROUPS = {"app": ["a1", "a2"], "other": ["o1"], "empty": []}
HOSTVARS = {
    "a1": {"ansible_host": "10.0.0.1"},
    "a2": {"ansible_host": "127.0.0.1", "bulkhead_address": "10.0.0.2"},
    "o1": {"ansible_host": "db.example.com"},
}


def test_addresses_by_group() -> None:
    assert GroupAddresses(GROUPS, HOSTVARS)["app"] == ("10.0.0.1", "10.0.0.2")


def test_those_of_a_task() -> None:
    assert GroupAddresses.of({"groups": GROUPS, "hostvars": HOSTVARS})["app"] == ("10.0.0.1", "10.0.0.2")
    assert list(GroupAddresses.of({})) == []


def test_only_groups_that_are_asked_for_are_read() -> None:
    addresses = GroupAddresses(GROUPS, HOSTVARS)
    assert addresses["app"] and addresses["empty"] == ()
    assert set(addresses.used()) == {"app", "empty"}
    assert sorted(addresses) == ["app", "empty", "other"] and "other" in addresses and len(addresses) == 3


def test_a_host_without_an_address_is_named() -> None:
    with pytest.raises(Refusal) as caught:
        GroupAddresses(GROUPS, HOSTVARS)["other"]
    assert str(caught.value) == (
        "host 'o1' of inventory group 'other' has 'db.example.com', which is no address."
    )
    assert "bulkhead_address" in caught.value.help_text


def test_an_unknown_group_is_the_policys_fault() -> None:
    with pytest.raises(KeyError):
        GroupAddresses(GROUPS, HOSTVARS)["none"]
