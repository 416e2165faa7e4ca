# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a wave soak, and stop waiting as soon as somebody asks for an end of it. Never fails."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, state, store
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str", "required": True},
    "seconds": {"type": "int", "required": True},
}
LOOK_EVERY = 1.0


class ActionModule(ControllerAction):
    arguments = ARGUMENTS

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        path = store.Store(given["rollout_dir"]).journal(given["rollout"])
        until, asked, size = time.monotonic() + given["seconds"], "", -1
        while (left := until - time.monotonic()) > 0 and not asked:
            time.sleep(min(left, LOOK_EVERY))
            # Only a journal that grew is read again.
            now = path.stat().st_size if path.exists() else 0
            if now != size:
                size, asked = now, self._asked(path)
        return {"asked": asked}

    def _asked(self, path: Path) -> str:
        try:
            records = journal.read(path).records
        except RolloutError:
            return ""  # the gate will say so
        return next((what for what in ("abort", "pause", "promote") if state.asked(records, what)), "")
