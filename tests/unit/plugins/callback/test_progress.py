# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.callback.progress import CallbackModule
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.plan import Options, PlannedHost, make
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.store import Store


class Shown(CallbackModule):
    """What it displays is kept; it is no terminal."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._display = SimpleNamespace(display=self.lines.append)
        self._terminal = False

    def get_option(self, _name: str, hostvars: Any = None) -> float:
        return 0.0


def result(action: str, check: bool = False, **fields: Any) -> Any:
    return SimpleNamespace(
        _task=SimpleNamespace(action=action, check_mode=check), _result=fields, result=fields
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    hosts = [PlannedHost("a", policy="nginx")]
    plan = make(rollout="nginx-e0001", epoch=1, policy="nginx", created="", hosts=hosts, options=Options())
    place = Store(tmp_path / "rollouts")
    place.root.mkdir()
    place.write_plan(plan)
    made = place.journal(plan.rollout)
    journal.append(made, Record("plan", "made", "nginx-e0001", 1))
    return made


def test_lines_come_from_the_journal_and_only_when_something_changed(path: Path) -> None:
    shown = Shown()
    task = SimpleNamespace(action="bulkhead.fleet.rollout_soak")
    shown.v2_playbook_on_task_start(task, False)
    assert shown.lines == []
    shown.v2_runner_on_ok(result("bulkhead.fleet.rollout_plan", journal=str(path)))
    assert shown.lines == ["nginx-e0001: pilot (1 of 1), 0 of 1 hosts, planned"]
    shown.v2_playbook_on_stats(None)
    assert len(shown.lines) == 1
    journal.append(path, Record("apply", "intent", "nginx-e0001", 1, "pilot", "a", policy="nginx"))
    shown.v2_playbook_on_stats(None)
    assert shown.lines[1:] == ["nginx-e0001: pilot (1 of 1), 0 of 1 hosts, changing"]


def test_other_playbooks_and_check_mode_are_left_alone(path: Path) -> None:
    shown = Shown()
    shown.v2_runner_on_ok(result("ansible.builtin.copy", journal=str(path)))
    shown.v2_runner_on_ok(result("bulkhead.fleet.rollout_plan", check=True, journal=str(path)))
    shown.v2_playbook_on_stats(None)
    assert shown.lines == []


def test_a_journal_that_cannot_be_read_is_somebody_elses_business(path: Path) -> None:
    shown = Shown()
    path.write_text("{}\n")
    shown.v2_runner_on_ok(result("bulkhead.fleet.rollout_plan", journal=str(path)))
    assert shown.lines == []


def test_the_longer_a_look_takes_the_less_often_it_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, clock = Shown(), [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    # Ten seconds of the processor for each look at plan and journal: two clock readings each.
    spent = iter(range(0, 1000, 10))
    monkeypatch.setattr("time.thread_time", lambda: float(next(spent)))
    shown.v2_runner_on_ok(result("bulkhead.fleet.rollout_plan", journal=str(path)))
    journal.append(path, Record("apply", "intent", "nginx-e0001", 1, "pilot", "a", policy="nginx"))
    for after, lines in ((499.0, 1), (501.0, 2)):
        clock[0] = 100.0 + after
        shown.v2_runner_on_ok(result("bulkhead.fleet.rollout_journal"))
        assert len(shown.lines) == lines
