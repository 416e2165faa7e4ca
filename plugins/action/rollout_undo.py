# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which hosts a rollback has to visit: by the journal and by the hosts' own receipts."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    journal,
    preflight,
    state,
    store,
    undo,
    witness,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "policies": {"type": "list", "elements": "str", "required": True},
    "rollout": {"type": "str"},
    "limit": {"type": "str"},
    "fleet": {"type": "list", "elements": "str", "default": []},
    "receipt": {"type": "str"},
    "only_aborted": {"type": "bool", "default": False},
    "take_over": {"type": "bool", "default": False},
    **preflight.BACK,
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def begins(self, written: Options) -> bool:
        # At the end of a rollout nothing is refused any more that the rollout began with.
        return bool(written.get("take_over"))

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        if given["only_aborted"] and not given["rollout"]:
            raise RolloutError(
                "This run has planned nothing (--start-at-task, --step?): nothing was done.",
                "Run the playbook from its beginning; to go back, run bulkhead.fleet.rollback.",
            )
        wrong = [*preflight.webhooks(given["webhooks"]), *preflight.confirmation(given["confirm_within"])]
        more = wrong if given["take_over"] else ()
        place, plan = self.unless_wrong(self.attempt(lambda: store.opened(given)), more)
        rollout = plan.rollout
        records = journal.read(place.journal(rollout)).records
        if given["limit"]:
            undo.refuse_limit(plan, records, given["limit"], variables["ansible_play_hosts_all"])
        if given["take_over"]:
            undo.refuse_fleet(plan, records, self.extra(), given["fleet"], variables["groups"]["all"])
        epoch = max([plan.epoch, *(record.epoch for record in records)])
        if given["take_over"] and not self._task.check_mode:
            # A higher epoch on the hosts shuts out whatever a killed controller still has under way.
            with place.locked(plan.policy, os.getppid(), f"a rollback of {rollout}", rollout):
                epoch = place.next_epoch(plan.policy, seen=epoch)
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
                result = answers.result(variables["hostvars"], name, given["receipt"])
                receipts[name] = {policy: answers.of(result, policy) for policy in plan.policies}
        back = undo.hosts(plan, records, receipts)
        return told | {"back": back, "lines": [*undo.lines(plan, back), *witness.lines(receipts)]}
