# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell webhooks and Prometheus how far a rollout is. Never fails: what could not be told is a warning."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, store, telling
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    # Addresses often hold a secret.
    "webhooks": {"type": "list", "elements": "str", "default": [], "no_log": True},
    "metrics": {"type": "path"},
}


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        try:
            troubles = self._tell(given)
        except Exception as error:
            # A report that cannot be sent must not decide what becomes of the hosts.
            troubles = [str(error) if isinstance(error, RolloutError) else f"nobody was told: {error!r}"]
        return {"told": not troubles, "warnings": troubles}

    def _tell(self, given: dict[str, Any]) -> list[str]:
        place = store.Store(given["rollout_dir"])
        plan = place.read_plan(given["rollout"])
        records, now = journal.read(place.journal(plan.rollout)).records, time.time()
        troubles = telling.send(given["webhooks"], telling.event(plan, records, now))
        if given["metrics"]:
            trouble = telling.write(Path(given["metrics"]), plan, telling.metrics(plan, records, now))
            troubles += [trouble] if trouble else []
        return troubles
