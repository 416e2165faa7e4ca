# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_apparmor, denials_audit


@pytest.mark.parametrize(
    ("named", "mine"),
    [
        ("", True),
        ('namespace="root" ', True),
        ('namespace="root//lxd-c1_<var-snap>" ', False),
        ("namespace=726F6F742F2F6C7864 ", False),
        ('namespace="lxc" ', False),
    ],
)
def test_a_profile_of_another_namespace_is_anothers(named: str, mine: bool) -> None:
    body = f'apparmor="DENIED" operation="open" {named}profile="bulkhead.web" name="/x" denied_mask="r"'
    record = denials_audit.record(denials_audit.APPARMOR, 1764410000000, 1, body)
    found = denials_apparmor.denial("web", record, "enforce")
    assert (found is not None) is mine
