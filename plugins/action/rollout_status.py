# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how far a rollout is, from its journal; hosts are not asked."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, progress, state, store
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policies": {"type": "list", "elements": "str", "required": True},
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str"},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            return result | self._status(given)
        except RolloutError as error:
            raise AnsibleError(str(error), obj=self._task.args, help_text=error.help_text) from None

    def _status(self, given: dict[str, Any]) -> dict[str, Any]:
        place = store.Store(Path(given["rollout_dir"]).absolute())
        plan = place.read_plan(given["rollout"] or place.latest(store.policy_names(given["policies"])))
        path = place.journal(plan.rollout)
        records, now = journal.read(path).records, time.time()
        holder = place.holder(plan.policy)
        who = "nobody works on it"
        if holder:
            who = f"{holder.get('what')}: process {holder.get('pid')} on '{holder.get('host')}'"
        hosts = {plan.label(one.host, one.policy): one.name for one in state.hosts(plan, records)}
        told = asdict(progress.of(plan, records, now))
        told["states"] = dict(told["states"])
        return {
            "changed": False,
            "rollout": plan.rollout,
            "progress": told,
            "hosts": hosts,
            "lines": [*progress.lines(plan, records, now, who), f"  journal: {path}"],
        }
