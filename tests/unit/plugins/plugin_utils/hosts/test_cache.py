# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.cache import MAX_AGE, Cache, identity


def test_what_was_made_once_is_not_made_again(tmp_path: Path) -> None:
    assert Cache(tmp_path).get_or_make("bundles", "abc", lambda: {"a": 1}) == {"a": 1}
    second = Cache(tmp_path)
    assert second.get_or_make("bundles", "abc", lambda: {"a": 2}) == {"a": 1}
    assert second.made == []


def test_it_is_this_users_alone(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("bundles", "abc", {})
    assert cache.root.stat().st_mode & 0o777 == 0o700
    assert (cache.root / "bundles").stat().st_mode & 0o777 == 0o700
    assert (cache.root / "bundles/abc.json").stat().st_mode & 0o777 == 0o600


def test_a_directory_that_others_may_write_is_not_used(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("bundles", "abc", {"evil": True})
    cache.root.chmod(0o777)
    assert cache.get("bundles", "abc") is None
    with pytest.raises(OSError, match="others may write there: remove it."):
        cache.put("bundles", "abc", {})


def test_a_torn_entry_is_made_anew(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("bundles", "abc", {"a": 1})
    (cache.root / "bundles/abc.json").write_text('{"a": ')
    assert cache.get_or_make("bundles", "abc", lambda: {"a": 2}) == {"a": 2}


def test_a_failure_is_not_remembered(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        cache.get_or_make("bundles", "abc", fail)
    assert cache.get_or_make("bundles", "abc", lambda: 1) == 1


def test_old_entries_go(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.put("bundles", "old", {})
    past = time.time() - MAX_AGE - 10
    os.utime(cache.root / "bundles/old.json", (past, past))
    # Not at every entry: that would cost the square of the fleet's size.
    cache.put("bundles", "new", {})
    assert len(list((cache.root / "bundles").glob("*.json"))) == 2
    os.utime(cache.root / "bundles/.swept", (past, past))
    cache.put("bundles", "new", {})
    assert [path.name for path in (cache.root / "bundles").glob("*.json")] == ["new.json"]


def _make(home: str, counter: str) -> None:
    def slow() -> int:
        with open(counter, "a") as stream:
            stream.write("x")
        time.sleep(0.2)
        return 1

    assert Cache(Path(home)).get_or_make("bundles", "abc", slow) == 1


def test_of_many_forks_one_compiles(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    forks = [context.Process(target=_make, args=(str(tmp_path), str(tmp_path / "count"))) for _ in range(8)]
    for fork in forks:
        fork.start()
    for fork in forks:
        fork.join()
    assert [fork.exitcode for fork in forks] == [0] * 8
    assert (tmp_path / "count").read_text() == "x"


def test_the_identity_of_code_changes_with_any_file_of_it(tmp_path: Path) -> None:
    one, other = tmp_path / "a.py", tmp_path / "b.py"
    for path in (one, other):
        path.write_text("x = 1")
    before = identity((one, other))
    assert identity((one, other)) == before
    other.write_text("x = 12")
    assert identity((one, other)) != before
    assert identity((one,)) != identity((other,))
