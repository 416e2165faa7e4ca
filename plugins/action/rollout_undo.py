# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which hosts a rollback has to visit: by the journal and by the hosts' own receipts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    journal,
    state,
    store,
    undo,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "policies": {"type": "list", "elements": "str", "required": True},
    "rollout": {"type": "str"},
    "limit": {"type": "str"},
    "receipt": {"type": "str"},
    "only_aborted": {"type": "bool", "default": False},
    "take_over": {"type": "bool", "default": False},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            return result | {"changed": False} | self._undo(given, task_vars or {})
        except RolloutError as error:
            raise AnsibleError(str(error), obj=self._task.args, help_text=error.help_text) from None

    def _undo(self, given: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        policy, place = (
            store.policy_names(given["policies"]),
            store.Store(Path(given["rollout_dir"]).absolute()),
        )
        rollout = given["rollout"] or place.latest(policy)
        plan = place.read_plan(rollout)
        records = journal.read(place.journal(rollout)).records
        if given["limit"]:
            undo.refuse_limit(plan, records, given["limit"], task_vars["ansible_play_hosts_all"])
        epoch = max([plan.epoch, *(record.epoch for record in records)])
        if given["take_over"] and not self._task.check_mode:
            # A higher epoch on the hosts shuts out whatever a killed controller still has under way.
            place.lock(plan.policy, os.getppid(), f"a rollback of {rollout}")
            epoch = place.next_epoch(plan.policy)
        told = {
            "rollout": rollout,
            "policy": plan.policy,
            "policies": list(plan.policies),
            "epoch": epoch,
            "order": list(plan.order),
        }
        if given["only_aborted"] and state.verdict(plan, records) != "abort":
            return told | {"order": [], "back": {}, "lines": []}
        receipts = {}
        if given["receipt"]:
            for name in plan.order:
                result = answers.result(task_vars["hostvars"], name, given["receipt"])
                receipts[name] = {policy: answers.of(result, policy) for policy in plan.policies}
        back = undo.hosts(plan, records, receipts)
        return told | {"back": back, "lines": undo.lines(plan, back)}
