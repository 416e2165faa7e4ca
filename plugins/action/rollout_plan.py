# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan a rollout: take the lock and the next epoch, write the plan, begin the journal."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    journal,
    observe,
    plan,
    store,
    summary,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policy": {"type": "str", "required": True},
    "rollout_dir": {"type": "path", "required": True},
    "fleet": {"type": "list", "elements": "str", "required": True},
    "look": {"type": "str", "required": True},
    "pilot": {"type": "int", "default": 1},
    "waves": {"type": "list", "elements": "raw", "default": list(plan.DEFAULT_WAVES)},
    "max_failed": {"type": "int", "default": 0},
    "soak": {"type": "int", "default": 10},
    "pause_after": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    BYPASS_HOST_LOOP = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            return result | self._plan(given, (task_vars or {})["hostvars"], bool(self._task.check_mode))
        except RolloutError as error:
            raise AnsibleError(str(error), obj=self._task.args, help_text=error.help_text) from None

    def _plan(self, given: dict[str, Any], hostvars: Any, check: bool) -> dict[str, Any]:
        policy, place = store.policy_name(given["policy"]), store.Store(Path(given["rollout_dir"]).absolute())
        looks = {name: hostvars[name].get(given["look"]) for name in given["fleet"]}
        # A host without a look was kept out of the first play by --limit; it is in no wave.
        hosts = [observe.planned(name, hostvars[name], look) for name, look in looks.items() if look]
        if faults := observe.refusals(looks):
            raise RolloutError("Nothing was changed. " + " ".join(faults))
        if not check:
            place.lock(policy, os.getppid(), f"a rollout to {len(hosts)} hosts")
        seen = max((int(look.get("epoch") or 0) for look in looks.values() if look), default=0)
        epoch = place.next_epoch(policy, peek=check, seen=seen)
        options = plan.Options(
            pilot=given["pilot"],
            waves=tuple(given["waves"]),
            max_failed=given["max_failed"],
            soak=given["soak"],
            pause_after=tuple(given["pause_after"]),
        )
        made = plan.make(
            rollout=store.rollout_id(policy, epoch),
            epoch=epoch,
            policy=policy,
            created=journal.now(),
            hosts=hosts,
            options=options,
        )
        if not check:
            place.write_plan(made)
            journal.append(
                place.journal(made.rollout),
                journal.Record("plan", "made", made.rollout, epoch, detail=f"plan {made.digest}"),
            )
        told = observe.diff_lines if check else observe.note_lines
        lines = {name: told(look) for name, look in looks.items() if look}
        return summary.for_playbook(made, place.journal(made.rollout), lines)
