# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
import pwd

from ansible_collections.bulkhead.fleet.plugins.module_utils import unit_groups

PASSWD = "root:x:0:0::/root:/bin/sh\nbackup:x:34:34::/:/bin/sh\nweb:x:105:105::/:/bin/sh\nbroken:1\n"


def test_an_account_counts_for_its_own_group_and_by_its_number() -> None:
    groups = "root:x:0:\nbackup:x:34:\ndocker:x:998:web\n"
    expected = {"backup": ["34", "backup"], "docker": ["105", "web"]}
    assert unit_groups.members(groups, PASSWD) == expected


def test_the_systems_own_databases_are_asked() -> None:
    own = pwd.getpwuid(os.getuid())
    assert unit_groups.of_account(str(own.pw_uid)) == unit_groups.of_account(own.pw_name)
    assert unit_groups.is_static(own.pw_name) and not unit_groups.is_static("nobody-has-this-name")
    assert unit_groups.of_account("nobody-has-this-name") == unit_groups.of_account("9" * 40) == []


def test_members_of_privileged_groups_only() -> None:
    text = "root:x:0:\ndocker:x:998:web,alice\nweb:x:1000:bob\nshadow:x:42:\nbroken\nsudo:x:27:alice\n"
    assert unit_groups.members(text) == {"docker": ["alice", "web"], "sudo": ["alice"]}
