# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The net of nspawn hosts, with the system's own ip(8)."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from bulkhead_lab import netns
from bulkhead_lab.host import describe
from bulkhead_lab.settings import Lab

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="network namespaces need root and iproute2"
)


def test_a_host_comes_again_at_once(tmp_path: Path) -> None:
    """The kernel takes a deleted namespace apart later: its end of the cable must not stand in the way."""
    lab = Lab(tmp_path, tmp_path / "img")
    host = describe(lab, "nspawn", 1, "bookworm")
    try:
        netns.controller(lab)
        for _again in range(20):
            netns.add(lab, host)
        assert netns.present(lab) == [lab.tag, netns.name_of(lab, host)]
    finally:
        netns.remove_all(lab)
    assert netns.present(lab) == []
