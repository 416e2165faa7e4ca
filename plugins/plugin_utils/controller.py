# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tasks of the controller have in common: once per play, checked options, clear errors."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

Options = dict[str, Any]
Variables = dict[str, Any]
FAULTS = (RolloutError, PolicyError, HostsError, OSError)


class ControllerAction(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """A task on the controller. A subclass gives ``arguments`` and ``work``; a fault of FAULTS fails the task."""

    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    arguments: ClassVar[dict[str, dict[str, Any]]]

    def run(self, tmp: Any = None, task_vars: Variables | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=self.arguments)
        try:
            return result | {"changed": False} | self.work(given, task_vars or {})
        except FAULTS as error:
            help_text = getattr(error, "help_text", "")
            raise AnsibleError(str(error), obj=self._task.args, help_text=help_text) from None

    @abstractmethod
    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        """Do the task's work and give its result (``changed`` is False where nothing else is said)."""
