# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from policy_support import Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults

LINE = "{clause: '%s', on: linux, reason: later, owner: team, until: 2027-01-01}"
BODY = "network: {listen: [tcp/80], connect: [{to: dns, id: resolver}, {to: any, ports: [tcp/443]}]}\n"


@pytest.mark.parametrize(
    ("written", "clause"),
    [
        ("network.listen", "network.listen"),
        ("network.listen[tcp/80]", "network.listen[tcp/80]"),
        ("network.listen[0]", "network.listen[tcp/80]"),
        ("network.connect[0]", "resolver"),
        ("resolver", "resolver"),
        ("network.connect[1]", "network.connect[any tcp/443]"),
        ("memory.core_dumps", "memory.core_dumps"),
        ("filesystem.deny", "filesystem.deny"),
    ],
)
def test_a_clause_by_id_section_or_place(make: Make, written: str, clause: str) -> None:
    (waiver,) = make(BODY + f"waivers: [{LINE % written}]\n").waivers
    assert waiver.clause == clause
    assert (waiver.owner, waiver.reason, waiver.until) == ("team", "later", "2027-01-01")


@pytest.mark.parametrize("written", ["network.listn", "network", "filesystem.write[0]", "*"])
def test_an_unknown_clause(make: Make, written: str) -> None:
    with pytest.raises(PolicyFaults) as caught:
        make(BODY + f"waivers: [{LINE % written}]\n")
    assert [fault.message for fault in caught.value.faults] == [f"there is no clause '{written}'."]


def test_twice(make: Make) -> None:
    with pytest.raises(PolicyFaults, match="'resolver' is waived twice on linux"):
        make(BODY + f"waivers: [{LINE % 'resolver'}, {LINE % 'network.connect[0]'}]\n")
