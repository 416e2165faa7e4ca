# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a rollout from outside to abort, to pause or to go on; a line in its journal that the running one obeys."""

from __future__ import annotations

import getpass
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    journal,
    locks,
    preflight,
    resume,
    state,
    store,
    undo,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policies": {"type": "list", "elements": "str", "required": True},
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str"},
    "fleet": {"type": "list", "elements": "str", "default": []},
    "what": {"type": "str", "required": True, "choices": ["abort", "pause", "promote"]},
    "by": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    **preflight.BACK,
}
THEN = {
    ("abort", True): "It goes back within one poll.",
    ("abort", False): "Nobody runs it: the touched hosts go back now.",
    ("pause", True): "It pauses within one poll, when the hosts at work are judged; resume goes on.",
    ("pause", False): "Nobody runs it; resume goes on.",
    ("promote", True): "The soak ends within one poll; the gate still judges the wave.",
    ("promote", False): "The wave counts as passed; resume goes on.",
}
SOAKS = (
    "But its hosts take back what soaks; only a gate ends that: resume applies the wave and judges it again."
)


class ActionModule(ControllerAction):
    arguments = ARGUMENTS
    named = {"by": "rollout_author"}

    def begins(self, written: Options) -> bool:
        return True

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        what = given["what"]
        self.attempt(lambda: self._refuse_no_reason(given))
        # A denial of one policy may pause the rollout of several; see the rulebook.
        opened = self.attempt(lambda: store.opened(given, part=what == "pause"))
        wrong = [*preflight.webhooks(given["webhooks"]), *preflight.confirmation(given["confirm_within"])]
        place, plan = self.unless_wrong(opened, wrong)
        path = place.journal(plan.rollout)
        records = journal.read(path).records
        undo.refuse_fleet(plan, records, self.extra(), given["fleet"], variables["groups"]["all"])
        holder = place.holder(plan.policy)
        # A lock of an earlier version does not say whose it is.
        other = holder.get("rollout") not in (None, "", plan.rollout)
        running = bool(holder) and not other and not state.ended(records)
        if state.verdict(plan, records) == "abort" and what != "abort":
            raise RolloutError(
                f"'{plan.rollout}' was aborted, and an aborted rollout never starts again.",
                "Plan a new rollout.",
            )
        doing = "" if other else str(holder.get("what") or "")
        if doing.startswith("a rollback"):
            raise RolloutError(f"'{plan.rollout}' is being rolled back: there is nothing to {what}.")
        if doing.startswith("catching up"):
            raise RolloutError(
                f"'{plan.rollout}' has passed, and hosts catch up with it: one wave, which nobody can {what}.",
                "Interrupt it (Ctrl-C) and run catch_up again: a host between two versions goes back by itself.",
            )
        if state.ended(records) == "pass":
            raise RolloutError(
                f"'{plan.rollout}' has passed: there is nothing to {what}.",
                "To take it back, run the rollback.",
            )
        if what != "abort":
            state.refuse_closed(plan, records)
        by = given["by"] or getpass.getuser()
        said = f"{what} by {by}: {' '.join(given['reason'].split()).rstrip('.')}"
        news = [journal.Record("control", what, plan.rollout, plan.epoch, detail=said)]
        if what == "promote" and not running:
            wave = resume.stands(records)
            if not wave:
                raise RolloutError(
                    f"No wave of '{plan.rollout}' has been changed and waits for a decision.",
                    "Run resume: it applies, looks and judges.",
                )
            before = next(r for r in reversed(records) if r.phase == "gate")
            detail = f"{said}; before that it was {before.outcome}: {before.detail}"
            news.append(journal.Record("gate", "pass", plan.rollout, plan.epoch, wave, detail=detail))
        if not self._task.check_mode:
            journal.extend(path, news)
        then = THEN[what, running]
        if what == "promote" and not running and plan.options.lease and plan.options.lapse == "revert":
            then = SOAKS
        if running and not locks.is_near(holder):
            own = " and ".join(f"'{name}.lock'" for name in plan.policies)
            then = (
                f"Process {holder.get('pid')} on '{holder.get('host')}' runs it, which cannot be seen from here. "
                f"{then} If that process is gone nobody obeys: remove {own} in '{place.root}', and {what} again."
            )
        if other:
            then = f"It is not what runs now: that is {holder.get('what')}, '{holder['rollout']}'."
            then += " Its hosts go back by the rollback once that has ended." if what == "abort" else ""
        lines = [f"{plan.rollout}: {said}.", then]
        if self._task.check_mode:
            lines = [f"Nothing was asked, without --check: {' '.join(lines)}"]
        return {"changed": True, "rollout": plan.rollout, "running": running, "lines": lines}

    def _refuse_no_reason(self, given: Options) -> None:
        if not given["reason"].strip() and "reason" not in self.wrong:
            raise RolloutError(
                f"No reason is given to {given['what']}.", """Write -e "reason='the shop has a sale'"."""
            )
