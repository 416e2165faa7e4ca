# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout does on one host for each of its policies; the answers are kept short."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.bulkhead.fleet.plugins.module_utils import arguments
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled, host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import (
    answers,
    kinds,
    store,
    takes,
    watch,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError

OPERATIONS = ("look", "apply", "watch", "probe", "promote", "receipts", "back", "first")
LIMIT = 5000
BETWEEN = 2.0
_OF_SANDBOX = ("policies_dirs", "mode", "accept", "confirm_within", "lease", "lapse", "rollout", "epoch")
# What people give; all else comes from other tasks.
_GIVEN = ("policies", "policies_dirs", "mode", "accept")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "operation": {"type": "str", "required": True, "choices": list(OPERATIONS)},
    "policies": {"type": "list", "elements": "str", "required": True},
    "details": {"type": "bool", "default": False},
    "method": {"type": "str", "default": "none", "choices": arguments.PROBE["method"]["choices"]},
    "retries": {"type": "int", "default": 0},
    "denials": {"type": "bool", "default": False},
    "before": {"type": "dict", "default": {}},
    "applied": {"type": "dict", "default": {}},
    "back": {"type": "dict", "default": {}},
    "state": {"type": "str", "default": ""},
    **{name: arguments.SANDBOX[name] for name in _OF_SANDBOX},
}


class ActionModule(ActionBase):
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        # The same words for all hosts, and those of the planning play.
        if wrong := kinds.faults(self._task.args, {name: ARGUMENTS[name] for name in _GIVEN}):
            raise AnsibleError(" ".join(wrong.values()), obj=self._task.args)
        _checked, given = self.validate_argument_spec(argument_spec=ARGUMENTS)
        variables, work = task_vars or {}, getattr(self, f"_{given['operation']}")
        given["planned"] = _planned(given["state"], variables)
        found: dict[str, dict[str, Any]] = {}
        stopped: dict[str, Any] = {}
        for name in _ordered(given["policies"], given["planned"]):
            policy = _name(name)
            if not _concerns(given, variables, policy):
                continue
            answer = stopped or self._answer(work, name, given, variables)
            found[policy] = answers.brief(given["operation"], answer, given["details"])
            stopped = stopped or _stops(given["operation"], policy, answer)
        reached = {"reached": answers.reached(found)} if given["operation"] == "apply" else {}
        notes = [f"{policy}: {answer['note']}" for policy, answer in found.items() if answer.get("note")]
        said = {"warnings": notes} if notes else {}
        return result | answers.joined(found) | reached | said

    def _answer(
        self,
        work: Callable[[str, dict[str, Any], dict[str, Any]], dict[str, Any]],
        name: str,
        given: dict[str, Any],
        variables: dict[str, Any],
    ) -> dict[str, Any]:
        try:
            return host.answer(lambda: work(name, given, variables))
        except AnsibleConnectionFailure as problem:
            # One policy of several may be through already: its outcome must not be lost with the connection.
            return {"unreachable": True, "changed": False, "msg": str(problem)}

    def _look(self, name: str, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        today = date.today()
        groups = GroupAddresses.of(variables)
        talk = host.conversation(self, given, variables, today)
        manifest = compiled.load(name, given["policies_dirs"], groups, given["mode"], today)
        return talk.present(manifest)

    def _apply(self, name: str, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """What was planned for this host, and nothing else: the policy may have been edited since."""
        today, planned = date.today(), given["planned"][_name(name)]
        if not takes.wants(variables, _name(name)):
            raise HostsError(
                f"its bulkhead_policies does not list {_name(name)} any more, which was planned for it: nothing was "
                "changed. Plan a new rollout."
            )
        if planned.get("agreed") and not planned["digest"]:
            raise HostsError(
                "it did not answer when the rollout was planned, so that nobody has agreed to a generation for it: "
                "nothing was changed. Plan a new rollout."
            )
        if not planned["manifest"]:
            return self._held(_name(name), planned["digest"], variables)
        talk = host.conversation(self, given, variables, today)
        manifest = compiled.load(
            name, given["policies_dirs"], GroupAddresses.of(variables), given["mode"], today
        )
        if planned["manifest"] != manifest.digest:
            raise HostsError(
                f"policy {manifest.policy} {manifest.version} is not the one that was planned (digest "
                f"{planned['manifest'][:12]}): it has changed since. Plan a new rollout."
            )
        answer = talk.present(manifest, planned["digest"], planned["fingerprint"])
        if planned["digest"] not in ("", answer.get("digest")):
            answer["note"] = (
                f"it is another kind of system than when it was planned: generation '{answer['digest'][:12]}', "
                f"not '{planned['digest'][:12]}'"
            )
        return answer

    def _held(self, policy: str, digest: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Of a rollout whose policy nobody knows (see ``rebuild``): the host has it already, or gets nothing."""
        request = {"policy": policy, "health": False, "features": False}
        seen = host.ask(self, "info", request, variables)
        active = str(seen.get("active") or "")
        if seen.get("failed") or seen.get("pending") or not digest or active != digest:
            raise HostsError(
                f"it holds generation '{active[:12]}', not '{digest[:12]}', and nobody knows the policy of that one. "
                "Plan a new rollout."
            )
        service = seen.get("service") or {}
        same = {"changed": False, "state": "unchanged", "from": active, "digest": active}
        return {**same, "service": service, "application": service.get("state")}

    def _probe(self, name: str, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        request = {
            "policy": _name(name),
            "host": str(variables.get("inventory_hostname", "")),
            "method": given["method"],
            "survey": True,
            "bundle": None,
        }
        answer = host.ask(self, "probe", request, variables)
        for _try in range(given["retries"]):
            survey = answer.get("survey")
            if not isinstance(survey, dict) or not watch.unhealthy({"": survey}):
                break
            time.sleep(BETWEEN)
            again = host.ask(self, "info", {**request, "health": True, "features": False}, variables)
            survey["health"] = again.get("health")
        return answer

    def _watch(self, name: str, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """How the host is, and what it denied since the look before (``before``: that look's result)."""
        policy = _name(name)
        renewed = self._leased(policy, given, variables, "renewed") if given["lease"] else {}
        request = {"policy": policy, "health": True, "features": False}
        answer = host.ask(self, "info", request, variables)
        answer |= {"lease": renewed["state"]} if renewed.get("state") else {}
        if given["denials"] and not answer.get("failed"):
            before = answers.of(given["before"], policy) or {}
            known = before.get("denials") or {}
            wish = {"policy": policy, "cursor": known.get("next", ""), "limit": LIMIT}
            seen = host.ask(self, "denials", wish, variables)
            if not seen.get("failed") and not watch.unread(seen):
                answer["denials"] = watch.brief(seen, known)
        return answer

    def _first(self, name: str, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The look before anything changes: what is there now is no news later."""
        answer = self._watch(name, given, variables)
        seen = answer.get("denials")
        if isinstance(seen, dict):
            seen["known"] = sorted({signature for signature, _last in seen["rows"]})
            seen["rows"] = []
        return answer

    def _promote(self, name: str, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """End the soak of what was applied: from now on the host does not take it back by itself."""
        return self._leased(_name(name), given, variables, "promoted")

    def _leased(
        self, policy: str, given: dict[str, Any], variables: dict[str, Any], state: str
    ) -> dict[str, Any]:
        """Of a change that soaks; a host that nothing was changed on has no nonce. What went wrong is for the gate."""
        nonce = str((answers.of(given["applied"], policy) or {}).get("nonce") or "")
        if not nonce:
            return {"skipped": True, "changed": False}
        talk = host.conversation(self, given, variables, date.today())
        return host.answer(lambda: talk.leased(policy, nonce, state))

    def _receipts(self, name: str, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        request = {"policy": _name(name), "health": False, "features": False}
        return host.ask(self, "info", request, variables)

    def _back(self, name: str, given: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        entry = given["back"].get(_name(name))
        if not entry or not entry["to"]:
            return {"skipped": True, "changed": False}
        talk = host.conversation(self, given, variables, date.today())
        return talk.reverted(_name(name), entry["from"], entry["to"])


def _name(policy: str) -> str:
    try:
        return store.policy_name(policy)
    except RolloutError as error:
        raise HostsError(str(error)) from None


def _ordered(policies: list[str], planned: dict[str, Any]) -> list[str]:
    """In the order of the plan, where there is one: they may be named in another one when a rollout is resumed."""
    places = {policy: number for number, policy in enumerate(planned)}
    return sorted(policies, key=lambda name: places.get(_name(name), len(places)))


def _planned(state: str, variables: dict[str, Any]) -> dict[str, Any]:
    """What the result of rollout_state, registered as ``state``, says of the task's host, by policy.

    It is not given as a template: each host's would go through those of all hosts.
    """
    wave = (variables.get(state) or {}).get("planned") or {}
    found: dict[str, Any] = wave.get(variables.get("inventory_hostname")) or {}
    return found


def _concerns(given: dict[str, Any], variables: dict[str, Any], policy: str) -> bool:
    """Whether the operation has to do with this policy there. What was planned or has to go back does, whatever the
    host's variable lists by now; and so every host tells its receipts of every policy."""
    told = {"apply": given["planned"], "back": given["back"], "receipts": (policy,)}.get(given["operation"])
    return takes.wants(variables, policy) if told is None else policy in told


def _stops(operation: str, policy: str, answer: dict[str, Any]) -> dict[str, Any]:
    """What the policies after this one come to without being tried, or nothing."""
    if answer.get("unreachable"):
        return {"unreachable": True, "changed": False, "msg": str(answer.get("msg", ""))}
    if operation == "apply" and answer.get("failed"):
        text = f"not begun, because {policy} failed before it on this host."
        return {"failed": True, "changed": False, "state": "refused", "msg": text}
    return {}
