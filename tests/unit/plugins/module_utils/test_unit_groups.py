# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from ansible_collections.bulkhead.fleet.plugins.module_utils import unit_groups


def test_members_of_privileged_groups_only() -> None:
    text = "root:x:0:\ndocker:x:998:web,alice\nweb:x:1000:bob\nshadow:x:42:\nbroken\nsudo:x:27:alice\n"
    assert unit_groups.members(text) == {"docker": ["alice", "web"], "sudo": ["alice"]}
