# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done once for all hosts of a batch needs no host, and no time limit of the user's ends it.

A failed task of that kind takes all hosts out of the play, and with them the gate and the rollback.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[4]
# Tasks of a batch with action plugins that are run once by themselves.
ONCE = tuple(
    f"bulkhead.fleet.rollout_{name}" for name in ("state", "journal", "soak", "watch", "gate", "tell")
)


def tasks(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((ROOT / "roles/rollout/tasks" / name).read_text())
    return found


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("begin.yml", 3),
        ("change.yml", 3),
        ("wave.yml", 1),
        ("judge.yml", 4),
        ("poll.yml", 2),
        ("back.yml", 2),
    ],
)
def test_tasks_of_a_batch_are_done_on_the_controller(name: str, count: int) -> None:
    once = [task for task in tasks(name) if task.get("run_once") or set(ONCE) & set(task)]
    assert len(once) == count
    for task in once:
        kept = (task.get("run_once"), task.get("delegate_to"), task.get("timeout"))
        assert kept == (True, "localhost", 0), task["name"]


def test_a_wave_that_nobody_looks_at_leaves_nothing_out_by_a_condition_for_each_host() -> None:
    """A task that is left out costs a worker for each host all the same."""
    parts = [tasks(f"{name}.yml") for name in ("begin", "change", "judge")]
    own = [task for task in tasks("wave.yml") if "ansible.builtin.import_tasks" not in task]
    each = [task for part in (*parts, own) for task in part if not task.get("run_once")]
    each = [task for task in each if "ansible.builtin.meta" not in task]
    assert [task["name"] for task in each if "when" in task] == [
        "Apply the policy",
        "Check health again, and try from inside the application what the policy allows and denies",
    ]
    assert not [task for task in each if "ansible.builtin.include_tasks" in task]


def test_what_is_new_in_the_denials_needs_no_host() -> None:
    _named, play = yaml.safe_load((ROOT / "playbooks/denials.yml").read_text())
    once = [task for task in play["tasks"] if task.get("run_once")]
    assert [task.get("delegate_to") for task in once] == ["localhost"] * 3


@pytest.mark.parametrize(("name", "count"), [("rollout.yml", 1), ("rollback.yml", 3), ("resume.yml", 2)])
def test_plays_of_the_controller_have_no_time_limit(name: str, count: int) -> None:
    plays = yaml.safe_load((ROOT / "playbooks" / name).read_text())
    own = [play for play in plays if play.get("hosts") == "localhost"]
    assert len(own) == count
    assert all(play.get("timeout") == 0 for play in own)


@pytest.mark.parametrize(
    "name", ["abort", "approve", "pause", "promote", "rebuild", "resume", "sign", "status", "verify"]
)
def test_what_ends_on_the_controller_refuses_a_limit(name: str) -> None:
    """A limit leaves out localhost, and a playbook that did nothing ends with exit code 0."""
    first = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text())[0]
    assert first["ansible.builtin.import_playbook"] == "unlimited.yml"


@pytest.mark.parametrize("name", ["debug", "denials", "explain", "sign", "verify"])
def test_a_policy_has_to_be_named(name: str) -> None:
    plays = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text())
    imported = [play.get("ansible.builtin.import_playbook") for play in plays]
    assert "named.yml" in imported[:2]
