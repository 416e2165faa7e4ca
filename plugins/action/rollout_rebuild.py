# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write plan and journal of the latest rollout anew, from the hosts' receipts."""

from __future__ import annotations

from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    journal,
    rebuild,
    state,
    store,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policies": {"type": "list", "elements": "str", "required": True},
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str"},
    "fleet": {"type": "list", "elements": "str", "required": True},
    "receipt": {"type": "str", "required": True},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        place = store.Store(given["rollout_dir"])
        policies = store.policy_names(given["policies"]).split("+")
        receipts, silent = {}, []
        for name in given["fleet"]:
            found = answers.result(variables["hostvars"], name, given["receipt"])
            receipts[name] = {policy: answers.of(found, policy) for policy in policies}
            if all((one or {}).get("active") is None for one in receipts[name].values()):
                silent.append(name)
        rollout, epoch = rebuild.latest(receipts)
        plan, records = rebuild.rebuild(given["rollout"] or rollout, epoch, policies, receipts, journal.now())
        if not plan.hosts:
            raise RolloutError(f"No host has a receipt of '{plan.rollout}'.", f"The latest is '{rollout}'.")
        if not self._task.check_mode:
            place.next_epoch("+".join(policies), seen=epoch - 1)
            place.write_plan(plan)
            records = journal.extend(place.journal(plan.rollout), records)
        hosts = {plan.label(one.host, one.policy): one.name for one in state.hosts(plan, records)}
        lines = [f"{plan.rollout}: rebuilt from the receipts of {len(plan.order)} hosts"]
        lines += [f"  {name}: {word}" for name, word in hosts.items()]
        lines += [f"  no answer: {name}" for name in silent]
        return {"changed": True, "rollout": plan.rollout, "hosts": hosts, "silent": silent, "lines": lines}
