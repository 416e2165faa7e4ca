# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bulkhead.fleet.report on the controller: evidence and the journal in, report files out. No host is asked."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import (
    evidence,
    fleet,
    html,
    junit,
    notes,
    publish,
    terminal,
    timeline,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import journal, store
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

SPEC: dict[str, dict[str, Any]] = {
    "policy": {"type": "str", "required": True},
    "policies_dirs": {"type": "list", "elements": "path", "default": []},
    "evidence_dir": {"type": "path", "required": True},
    "hosts": {"type": "list", "elements": "str", "required": True},
    "proof": {"type": "str"},
    "rollout_dir": {"type": "path"},
    "html": {"type": "path"},
    "junit": {"type": "path"},
    "notices": {"type": "list", "elements": "str", "default": []},
}


class ActionModule(ActionBase):
    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(argument_spec=SPEC)
        try:
            return result | self._report(options, task_vars or {})
        except evidence.ReportError as problem:
            return result | {"failed": True, "changed": False, "msg": str(problem)}

    def _report(self, options: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        folder, notices = Path(options["evidence_dir"]), list(options["notices"])
        about = self._notes(options, variables, notices)
        changed = False
        if options["proof"]:
            known = variables.get("hostvars", {})
            answers = {host: known[host].get(options["proof"]) for host in options["hosts"] if host in known}
            changed = publish.store(folder, about.policy, answers, options["hosts"])
        wanted = set(options["hosts"])
        found = [item for item in evidence.load(folder, (about.policy,)) if item.host in wanted]
        fleets = fleet.gather(found, {about.policy: about})
        if options["html"]:
            drawn = self._timeline(options["rollout_dir"], about.policy, notices)
            made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            changed = (
                publish.write(Path(options["html"]), html.render(fleets, made, drawn, notices)) or changed
            )
        if options["junit"]:
            changed = publish.write(Path(options["junit"]), junit.render(fleets)) or changed
        ok = bool(fleets) and all(item.ok for item in fleets)
        lines = terminal.lines(fleets)
        return {
            "changed": changed,
            "ok": ok,
            "lines": lines,
            "summary": fleet.summary(fleets),
            "policy": about.policy,
        }

    def _notes(
        self, options: dict[str, Any], variables: dict[str, Any], notices: list[str]
    ) -> notes.PolicyNotes:
        """A report of what hosts showed is owed even where the policy itself can no longer be read."""
        groups = GroupAddresses.of(variables)
        try:
            manifest = compiled.load(options["policy"], options["policies_dirs"], groups, None, date.today())
        except (PolicyError, HostsError) as problem:
            notices.append(f"The policy cannot be read, so reasons and waivers are missing here: {problem}")
            return notes.PolicyNotes(Path(options["policy"]).stem)
        return notes.notes(manifest, date.today())

    def _timeline(self, root: str | None, policy: str, notices: list[str]) -> timeline.Timeline | None:
        if not root or not Path(root).is_dir():
            return None
        try:
            place = store.Store(root)
            return timeline.draw(journal.read(place.journal(place.latest(policy))).records)
        except RolloutError as problem:
            if "No rollout of" not in str(problem):
                notices.append(f"There is no timeline: {problem}")
            return None
