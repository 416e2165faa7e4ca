# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from bulkhead_lab import needs
from bulkhead_lab.settings import LabError


@pytest.fixture
def watch() -> Iterator[None]:
    """This process holds one instance."""
    descriptor = ctypes.CDLL(None).inotify_init1(0)
    yield
    os.close(descriptor)


def test_containers_that_could_not_start_are_refused_before_any_does(
    watch: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = tmp_path / "max_user_instances"
    monkeypatch.setattr(needs, "INOTIFY", limit)
    limit.write_text("100000\n")
    needs.check_watches(30)
    limit.write_text("1\n")
    with pytest.raises(LabError) as refused:
        needs.check_watches(2)
    assert (
        str(refused.value)
        == "2 containers take 6 instances of inotify, and root has 0 of 1 left on this machine."
    )
