# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every task on the controller does with its options, its result and its faults."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins.loader import connection_loader

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import ControllerAction
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError


class Doubler(ControllerAction):
    arguments = {"number": {"type": "int", "required": True}}
    raises: Exception | None = None

    def work(self, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        if self.raises:
            raise self.raises
        return {"double": 2 * given["number"], "on": variables.get("inventory_hostname")}


def run(raises: Exception | None = None, **options: Any) -> dict[str, Any]:
    task = Task()
    task.args = options
    action = Doubler(task, connection_loader.get("local", PlayContext()), None, None, None, None)
    action.raises = raises
    return action.run(task_vars={"inventory_hostname": "a"})


def test_options_have_their_types_and_nothing_is_changed_unless_said() -> None:
    assert run(number="4") == {"changed": False, "double": 8, "on": "a"}


def test_a_missing_option_and_one_too_many_are_named() -> None:
    with pytest.raises(AnsibleError, match="number"):
        run()
    with pytest.raises(AnsibleError, match="colour"):
        run(number=1, colour="red")


def test_a_fault_is_told_with_its_help() -> None:
    with pytest.raises(AnsibleError, match="'x' is gone") as told:
        run(RolloutError("'x' is gone.", "Bring it back."), number=1)
    assert told.value._help_text == "Bring it back."


def test_a_file_that_cannot_be_read_is_no_traceback() -> None:
    with pytest.raises(AnsibleError, match=r"Permission denied: '/x'"):
        run(PermissionError(13, "Permission denied", "/x"), number=1)


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run(ZeroDivisionError(), number=1)
