# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_nftables


@pytest.mark.parametrize(
    ("written", "port"), [("443", 443), ("9" * 60, None), ("65536", None), ("\u00b2", None), ("\u0663", None)]
)
def test_a_port_is_a_number_that_a_port_can_be(written: str, port: int | None) -> None:
    text = f"bulkhead web network.connect: IN= OUT=eth0 DST=192.0.2.1 PROTO=TCP DPT={written}"
    facts, peer = denials_nftables.denial("web", text, {})
    assert (facts["act"], facts["port"], peer) == ("connect", port, "192.0.2.1")
