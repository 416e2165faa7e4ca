# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference shows real policies: every YAML block of docs/policy.md resolves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from policy_support import WORKLOAD, Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.clauses import SECTIONS

PAGE = (Path(__file__).parents[5] / "docs" / "policy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split(":")[0][-20:].strip())
def test_every_block_resolves(make: Make, block: str) -> None:
    whole = "schema: 1\n" in block
    assert (make(block, head="", workload="") if whole else make(block, workload=WORKLOAD)).digest


def test_every_section_is_explained() -> None:
    table = PAGE[PAGE.index("| Section |") : PAGE.index("**The most specific path decides")]
    for section in SECTIONS:
        first, _, last = section.partition(".")
        assert f"`{first}" in table and (not last or last in table), section
