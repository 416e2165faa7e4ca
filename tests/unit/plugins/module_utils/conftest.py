# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import footprint, store, validators


@pytest.fixture(autouse=True)
def nothing_of_this_machine(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """State and notes of a test that sets no folder of its own lie in a temporary one, never in /var/lib or /run."""
    folder = tmp_path_factory.mktemp("machine")
    monkeypatch.setattr(store, "BASE", str(folder / "bulkhead"))
    monkeypatch.setattr(footprint, "ASIDE", str(folder / "aside"))
    monkeypatch.setattr(validators, "STAGES", str(folder / "verify"))
