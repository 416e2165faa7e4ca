# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import locks
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.locks import Locks


@pytest.fixture
def store(tmp_path: Path) -> Locks:
    return Locks(tmp_path / "rollouts")


def test_a_second_controller_is_refused_while_the_first_lives(store: Locks) -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        store.lock("nginx", other.pid, "rollout nginx-e0001")
        with pytest.raises(RolloutError, match=rf"rollout nginx-e0001 \(process {other.pid} on ") as caught:
            store.lock("nginx", os.getpid(), "rollout nginx-e0002")
        assert "nginx.lock" in caught.value.help_text
        store.lock("redis", os.getpid(), "rollout redis-e0001")
    finally:
        other.kill()
        other.wait()
    store.lock("nginx", os.getpid(), "rollout nginx-e0002")


def test_the_holder_may_lock_again(store: Locks) -> None:
    store.lock("nginx", os.getpid(), "rollout nginx-e0001")
    store.lock("nginx", os.getpid(), "rollback nginx-e0001")


def test_a_reused_process_id_does_not_hold_the_lock(store: Locks) -> None:
    store.lock("nginx", os.getpid(), "rollout nginx-e0001")
    path = store.root / "nginx.lock"
    path.write_text(json.dumps({**json.loads(path.read_text()), "started": "1"}))
    store.lock("nginx", os.getpid(), "rollout nginx-e0002")
    assert json.loads(path.read_text())["what"] == "rollout nginx-e0002"


def test_a_lock_of_another_machine_stands(store: Locks) -> None:
    store.lock("nginx", os.getpid(), "rollout nginx-e0001")
    path = store.root / "nginx.lock"
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "elsewhere"}))
    with pytest.raises(RolloutError, match="on 'elsewhere'"):
        store.lock("nginx", os.getpid(), "rollout nginx-e0002")


@pytest.mark.parametrize("pid", ["1" * 30, "1e400", '"me"', "null", "0", "-1", "true"])
def test_a_lock_of_no_process_is_damaged(store: Locks, pid: str) -> None:
    store.lock("nginx", os.getpid(), "rollout nginx-e0001")
    path = store.root / "nginx.lock"
    path.write_text(f'{{"host": "{socket.gethostname()}", "pid": {pid}}}')
    for look in (lambda: store.holder("nginx"), lambda: store.lock("nginx", os.getpid(), "")):
        with pytest.raises(RolloutError, match=r"nginx\.lock' cannot be read: it is damaged\."):
            look()


def test_only_the_holder_unlocks(store: Locks) -> None:
    store.lock("nginx", os.getpid(), "rollout nginx-e0001")
    store.unlock("nginx", os.getpid() + 1)
    assert (store.root / "nginx.lock").exists()
    store.unlock("nginx", os.getpid())
    assert not (store.root / "nginx.lock").exists()
    store.unlock("nginx", os.getpid())


def test_start_time_of_a_process_that_is_gone() -> None:
    assert locks._started(2**22 + 1) == ""
