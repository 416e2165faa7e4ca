# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say how far a rollout is, from its journal; hosts are not asked."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, progress, state, store

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policies": {"type": "list", "elements": "str", "required": True},
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str"},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def begins(self, written: Options) -> bool:
        return True

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        place, plan = self.unless_wrong(self.attempt(lambda: store.opened(given, part=True)))
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
