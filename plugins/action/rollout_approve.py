# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a plan that waits for approval, and sign its hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.controller import (
    ControllerAction,
    Options,
    Variables,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    approval,
    journal,
    review,
    signatures,
    state,
    store,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "policies": {"type": "list", "elements": "str", "required": True},
    "rollout_dir": {"type": "path", "required": True},
    "rollout": {"type": "str"},
    "by": {"type": "str", "required": True},
    "key": {"type": "path"},
    "hours": {"type": "int", "default": 24},
}
MOST_HOURS = 24 * 366
_WITH_KEY = "-e approve_key=~/.ssh/id_ed25519"


class ActionModule(ControllerAction):
    arguments = ARGUMENTS
    named = {
        "by": "rollout_approve_as",
        "key": "rollout_approve_key",
        "hours": "rollout_approve_hours",
    }

    def begins(self, written: Options) -> bool:
        return True

    def work(self, given: Options, variables: Variables) -> dict[str, Any]:
        place, plan = self.unless_wrong(self.attempt(lambda: store.opened(given)), _faults(given))
        lines = [*review.lines(plan), f"author: {', '.join(approval.authors(plan))}", f"plan {plan.digest}"]
        folder, now = place.folder(plan.rollout) / "approvals", datetime.now(UTC)
        answer = {"changed": False, "rollout": plan.rollout, "digest": plan.digest, "lines": lines}
        if not given["key"] or self._task.check_mode:
            how = (
                ""
                if given["key"]
                else f" Sign it with {'' if given['by'] else '-e approve_as=NAME '}{_WITH_KEY}."
            )
            if plan.options.approvers:
                lines.append(approval.state(plan, folder, now, plan.options.approvers)[2])
            return answer | {"lines": [*lines, f"Nothing was signed.{how}"]}
        records = journal.read(place.journal(plan.rollout)).records
        # With one that has passed hosts may still catch up, long after its approvals have expired.
        if state.aborted(records) or state.closed(records):
            raise RolloutError(f"'{plan.rollout}' has ended: there is nothing to agree to.")
        said = approval.statement(plan, given["by"], now + timedelta(hours=given["hours"]))
        signature = signatures.sign(said, Path(given["key"]), signatures.APPROVAL)
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / approval.file_name(given["by"])
        files = {path: said, path.with_name(f"{path.name}.sig"): signature}
        before = {one: one.read_bytes() if one.exists() else None for one in files}
        _write(files)
        if plan.options.approvers:
            found, _missing, text = approval.state(plan, folder, now, plan.options.approvers)
            if given["by"] not in found.by:
                _write(before)  # an earlier one of the same name may be good
                raise RolloutError(f"This approval does not count. {text}")
            answer["lines"] = [*lines, text]
        return answer | {"changed": True}


def _write(files: Mapping[Path, bytes | None]) -> None:
    """None: it was not there."""
    for path, content in files.items():
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)


def _faults(given: Options) -> Iterator[str]:
    if not 1 <= given["hours"] <= MOST_HOURS:
        yield f"rollout_approve_hours is '{given['hours']}'; write 1 to {MOST_HOURS}."
    if given["key"] and not given["by"]:
        yield "rollout_approve_as is empty; write your name in the file of approvers, with -e approve_as=NAME."
