# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all tasks of the controller have in common: once per play, checked options, clear errors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeVar, cast

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import kinds
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

Found = TypeVar("Found")
Options = dict[str, Any]
Variables = dict[str, Any]
FAULTS = (RolloutError, PolicyError, HostsError, OSError)


class ControllerAction(ActionBase):  # type: ignore[misc]  # ansible-core has no types
    """A task on the controller. A subclass gives ``arguments`` and ``work``; a fault of FAULTS fails the task.

    One that ``begins`` a playbook of a rollout has in ``wrong`` a sentence for each option that is not what
    ``arguments`` say, with the variable that gives it (``named``: see ``kinds.faults``). It finds more in ``work``, and
    calls ``refuse`` there before it does anything.
    """

    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True
    arguments: ClassVar[dict[str, dict[str, Any]]]
    named: ClassVar[dict[str, str]] = {}
    nothing: ClassVar[str] = "Nothing was done. "

    def run(self, tmp: Any = None, task_vars: Variables | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        written = self._task.args
        begins = self.begins(written)
        self.wrong = kinds.faults(written, self.arguments, self.named) if begins else {}
        self._unknown: list[str] = []
        if begins:
            self._unknown = [*kinds.unknown(task_vars or {}), *kinds.misgiven(self.extra())]
        self._problems: list[RolloutError] = []
        try:
            if any(self.arguments[name].get("required") for name in self.wrong):
                self.refuse()
            # What is wrong is told with what else is found; until then it is as if it were not given.
            self._task.args = {name: value for name, value in written.items() if name not in self.wrong}
            _validation, given = self.validate_argument_spec(argument_spec=self.arguments)
            return result | {"changed": False} | self.work(given, task_vars or {})
        except FAULTS as error:
            help_text = getattr(error, "help_text", "")
            raise AnsibleError(str(error), obj=written, help_text=help_text) from None

    def begins(self, written: Options) -> bool:
        """Whether a rollout's playbook begins with this task: then people gave its options and no other task."""
        return False

    def extra(self) -> dict[str, Any]:
        """What the command line gave with -e."""
        return dict(load_extra_vars(self._loader))

    def attempt(self, step: Callable[[], Found]) -> Found | None:
        """What ``step`` gives; its RolloutError is told by ``refuse``, with all else."""
        try:
            return step()
        except RolloutError as problem:
            self._problems.append(problem)
            return None

    def refuse(self, more: Iterable[str] = ()) -> None:
        """Raises RolloutError for all faults that were found until now and for ``more``."""
        options = [*self.wrong.values(), *self._unknown, *more]
        if options or self._problems:
            texts = [*options, *(str(problem) for problem in self._problems)]
            help_text = " ".join(problem.help_text for problem in self._problems if problem.help_text)
            raise RolloutError((self.nothing if options else "") + " ".join(texts), help_text)

    def unless_wrong(self, found: Found | None, more: Iterable[str] = ()) -> Found:
        """``found`` of an ``attempt``. Raises like ``refuse`` where that failed or anything else is wrong."""
        self.refuse(more)
        return cast("Found", found)  # None only where an attempt failed, and that is refused

    @abstractmethod
    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        """Do the task's work and give its result (``changed`` is False where nothing else is said)."""
