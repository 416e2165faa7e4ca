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
        except RolloutError as error:
            troubles = [str(error)]
        except Exception as error:
            # A report that cannot be sent must not decide what becomes of the hosts.
            troubles = [_untold(error)]
        return {"told": not troubles, "warnings": troubles}

    def _tell(self, given: dict[str, Any]) -> list[str]:
        place = store.Store(given["rollout_dir"])
        plan = place.read_plan(given["rollout"])
        records, now = journal.read(place.journal(plan.rollout)).records, time.time()

        def write() -> list[str]:
            if not given["metrics"]:
                return []
            return [telling.write(Path(given["metrics"]), plan, telling.metrics(plan, records, now))]

        def send() -> list[str]:
            return telling.send(given["webhooks"], telling.event(plan, records, now))

        troubles = []
        # Each by itself, the files first: a webhook may take its time.
        for tell in (write, send):
            try:
                troubles += tell()
            except Exception as error:
                troubles.append(_untold(error))
        return [text for text in troubles if text]


def _untold(error: Exception) -> str:
    """Its type only: the text may quote an address, and addresses often hold a secret."""
    return f"nobody was told: {type(error).__name__}."
