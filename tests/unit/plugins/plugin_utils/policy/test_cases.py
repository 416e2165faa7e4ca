# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The corpus: policies that must be refused with exactly the text beside them, and policies that must pass.

A new case is a file NAME.refused.yml; its NAME.refused.txt is what a reader of the terminal sees.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_support import CASES, GROUPS, TODAY

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve

REFUSED = sorted(CASES.glob("*.refused.yml"))
ACCEPTED = sorted(CASES.glob("*.accepted.yml"))


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_refused_with_this_text(path: Path) -> None:
    with pytest.raises(PolicyFaults) as caught:
        load_and_resolve(path, [], GROUPS, TODAY)
    shown = str(caught.value).replace(f"{CASES}/", "")
    assert shown == path.with_suffix(".txt").read_text(encoding="utf-8").rstrip("\n")


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_every_fault_has_a_place_and_a_fix(path: Path) -> None:
    with pytest.raises(PolicyFaults) as caught:
        load_and_resolve(path, [], GROUPS, TODAY)
    for fault in caught.value.faults:
        assert fault.origin.line >= 1 and fault.origin.column >= 1
        assert fault.message.endswith(".") and fault.help_text


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.stem)
def test_accepted(path: Path) -> None:
    manifest = load_and_resolve(path, [], GROUPS, TODAY)
    assert len(manifest.digest) == 64
    assert manifest.workload(OS.LINUX)


def test_the_corpus_is_there() -> None:
    assert len(REFUSED) >= 90
    assert len(ACCEPTED) >= 4


def test_every_text_has_its_policy() -> None:
    orphans = [text.name for text in CASES.glob("*.txt") if not text.with_suffix(".yml").is_file()]
    assert orphans == []
