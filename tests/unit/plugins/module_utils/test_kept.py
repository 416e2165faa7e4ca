# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins import module_utils
from ansible_collections.bulkhead.fleet.plugins.module_utils import kept, store

NAME = hashlib.sha256(b"packed").hexdigest()


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What on_host gives to the package that it makes."""
    brought = SimpleNamespace(packed="packed", code={"a": compile("1", "a", "exec")}, are_kept=False)
    monkeypatch.setattr(module_utils, "carried", brought, raising=False)
    Path(store.BASE).mkdir()
    return brought


def test_what_a_call_brought_is_kept(carried: Any) -> None:
    assert kept.keep() == NAME
    assert Path(store.BASE, "_sources").read_bytes() == b"packed"
    code = Path(store.BASE, "_compiled").read_bytes()
    assert code[:64].decode() == hashlib.sha256((sys.version + NAME).encode() + code[64:]).hexdigest()
    for name in ("_sources", "_compiled"):
        assert Path(store.BASE, name).stat().st_mode & 0o777 == 0o600


def test_what_is_kept_is_known_by_name(carried: Any) -> None:
    assert kept.name() == ""
    kept.keep()
    assert kept.name() == NAME


def test_what_came_from_there_is_not_written_again(carried: Any) -> None:
    carried.are_kept = True
    assert kept.keep() == NAME
    assert not list(Path(store.BASE).iterdir())


def test_where_nothing_was_brought_nothing_is_kept() -> None:
    assert kept.keep() == "" and not Path(store.BASE).exists()


def test_a_host_without_room_keeps_nothing_and_goes_on(carried: Any) -> None:
    Path(store.BASE, "_sources").mkdir()
    assert kept.keep() == ""
