# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a rollout is, while it runs; made from its journal alone, as ``status`` is."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Show how far a rollout is
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Shows wave, hosts done of all, denials, gates, and about how much time is left.
  - On a terminal with a bar, and with a countdown while a wave soaks; elsewhere as plain lines, when something changed.
  - It reads the rollout's journal, so that C(bulkhead.fleet.status) in another terminal shows the same.
  - Says nothing in playbooks that have no rollout.
  - Keeps Python from collecting garbage among what was there when a play began, which saves large fleets much work.
options:
  quiet:
    description: Seconds between two lines where neither wave nor gate changed.
    type: float
    default: 5
    env:
      - name: BULKHEAD_PROGRESS_QUIET
    ini:
      - section: bulkhead
        key: progress_quiet
requirements:
  - enable in configuration, as C(callbacks_enabled = bulkhead.fleet.progress)
"""

import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, progress, store
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

OURS = "bulkhead.fleet.rollout_"
SOAK = f"{OURS}soak"
# A look at plan and journal takes longer the larger the fleet is: at most this share of the time goes into looking.
SHARE = 0.02


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bulkhead.fleet.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._path: Path | None = None
        self._size, self._shown, self._key, self._last = -1, 0.0, ("", "", ""), ""
        self._pause, self._looked = 1.0, 0.0
        self._terminal = sys.stderr.isatty()
        self._soaking: threading.Event | None = None

    # --- events ---

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Each worker is a fork. A collection of garbage in there would write to every object that the controller has,
        and so copy all of its memory: in a fleet of thousands that is a fifth of the cost."""
        gc.freeze()

    def v2_runner_on_ok(self, result: Any, ignore_errors: bool = False) -> None:
        self._stop()
        found = self._result(result)
        if str(getattr(result._task, "action", "")).startswith(OURS):
            if found.get("journal") and not result._task.check_mode:
                self._path = Path(str(found["journal"]))
            self._show()

    v2_runner_on_failed = v2_runner_on_unreachable = v2_runner_on_skipped = v2_runner_on_ok

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._stop()
        self._show()
        if self._path and self._terminal and task.action == SOAK:
            self._soaking = threading.Event()
            threading.Thread(target=self._count_down, args=(self._soaking,), daemon=True).start()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        self._stop()
        self._show(always=True)

    # --- what is shown ---

    def _result(self, result: Any) -> dict[str, Any]:
        found = getattr(result, "result", None) or getattr(result, "_result", None)
        return found if isinstance(found, dict) else {}

    def _seen(self) -> progress.Progress | None:
        """None where there is no rollout, or its files cannot be read: whoever needs them says so."""
        if self._path is None or not self._path.exists():
            return None
        began = time.thread_time()
        try:
            plan = store.Store(self._path.parent.parent).read_plan(self._path.parent.name)
            return progress.of(plan, journal.read(self._path).records, time.time())
        except RolloutError:
            return None
        finally:
            self._pause = max(1.0, (time.thread_time() - began) / SHARE)

    def _show(self, always: bool = False) -> None:
        size = self._path.stat().st_size if self._path and self._path.exists() else -1
        if size == self._size and not always:
            return
        now = time.monotonic()
        if now - self._looked < self._pause and not always:
            return
        self._looked = now
        seen = self._seen()
        if seen is None:
            return
        key = (seen.wave, seen.gate, seen.verdict)
        quiet = float(self.get_option("quiet"))
        if key == self._key and now - self._shown < quiet and not always:
            return
        text = progress.line(seen, drawn=self._terminal)
        if text != self._last:
            self._display.display(text)
        self._size, self._shown, self._key, self._last = size, now, key, text

    def _count_down(self, stop: threading.Event) -> None:
        """Redraws one line of a terminal. Workers are forked beside it, so it takes no lock that they could inherit."""
        while not stop.wait(self._pause):
            seen = self._seen()
            if seen is not None:
                os.write(2, f"\r\033[K{progress.line(seen, drawn=True)}".encode())
        os.write(2, b"\r\033[K")

    def _stop(self) -> None:
        if self._soaking is not None:
            self._soaking.set()
            self._soaking = None
