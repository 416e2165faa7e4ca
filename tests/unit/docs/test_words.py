# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/policy.md names every word that a policy may use."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import words

PAGE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("section", "known"),
    [
        ("identity.privileges", words.PRIVILEGES),
        ("processes.syscalls", words.SYSCALL_GROUPS),
        ("network.families", words.FAMILIES),
    ],
)
def test_the_page_lists_the_words_of_a_section(section: str, known: dict[str, str]) -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| `{section}` |")]
    assert set(known) - set(re.findall(r"`([a-z0-9_]+)`", " ".join(rows))) == set()
