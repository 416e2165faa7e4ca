# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that is a file does nothing in check mode, as a host does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pretend.pretend_host import Host

BUNDLE = {"policy": "nginx", "digest": "new", "version": "1.0.0", "artifacts": []}
APPLY = {"bundle": BUNDLE, "epoch": 1, "rollout": "nginx-e0001", "confirm_within": 60}
BACK = {"policy": "nginx", "from": "", "to": "new", "epoch": 2, "rollout": "nginx-e0001"}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    for folder in ("hosts", "bundles"):
        (tmp_path / folder).mkdir()
    return Host(tmp_path, "h0001")


def held(host: Host) -> tuple[str, int, int]:
    own: dict[str, Any] = host.of("nginx")
    return own["active"], own["epoch"], len(own["receipts"])


def test_check_mode_changes_nothing(host: Host) -> None:
    assert host.apply(APPLY, True)["changed"]
    assert held(host) == ("", 0, 0)
    host.apply(APPLY, False)
    before = held(host)
    answer = host.revert(BACK, True)
    assert (answer["changed"], answer["from"], answer["digest"]) == (True, "new", "")
    assert held(host) == before
    host.revert(BACK, False)
    assert held(host)[:2] == ("", 2)
