# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout keeps of what a host answers. The rest would fill the controller's memory: 5,000 hosts times
every file before and after, and every verdict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import journal, observe, state

_CHANGE = ("changed", "failed", "unreachable", "msg", "state", "from", "digest")
_KEPT = {
    "look": (*_CHANGE, "fingerprint", "policy_digest", "version", "epoch", "features_name"),
    "apply": (*_CHANGE, "application", "service", "nonce", "note"),
    "promote": (*_CHANGE, "skipped"),
    "probe": ("failed", "unreachable", "msg"),
    "first": ("failed", "unreachable", "msg", "active", "health"),
    "watch": ("failed", "unreachable", "msg", "active", "health", "lease"),
    "receipts": (
        "failed",
        "unreachable",
        "msg",
        "active",
        "rollout",
        "epoch",
        "state",
        "pending",
        "receipts",
        "recent",
    ),
    "back": (*_CHANGE, "skipped", "note"),
}
_SURVEY = ("active", "rollout", "epoch", "service", "health", "debug")


def brief(operation: str, answer: Mapping[str, Any], details: bool) -> dict[str, Any]:
    """``answer`` of one policy's operation, in short. ``details``: with what changes in which file, and what the host
    does not enforce in full.

    One whose epoch is none says that it failed: epochs are compared, and rollouts are named after them.
    """
    recent = answer.get("recent")
    told = [answer, *(recent if isinstance(recent, list) else ())]
    for epoch in (one.get("epoch") for one in told if isinstance(one, Mapping)):
        if epoch is not None and not journal.is_epoch(epoch):
            text = f"what it says is malformed: the epoch {repr(epoch)[:40]} is none."
            return {"failed": True, "changed": False, "msg": text}
    kept = {key: answer[key] for key in _KEPT[operation] if key in answer}
    if operation == "look":
        kept["notes"] = observe.diff_lines(answer) if details else observe.note_lines(answer)
        if details:  # they are most of it, and told where details are
            kept["gaps"] = _gaps(answer.get("verdicts"))
    if operation in ("first", "watch") and "denials" in answer:
        kept["denials"] = answer["denials"]
    if operation == "probe":
        survey = answer.get("survey")
        if isinstance(survey, Mapping):
            kept["survey"] = {key: survey[key] for key in _SURVEY if key in survey}
        try:
            kept["proof"] = observe.proof(answer)
        except (KeyError, TypeError, AttributeError):
            kept["proof"] = {"unsure": ["the evidence of the host is malformed"]}
    return kept


def joined(answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The answers by policy as one task's result: it failed, or was unreachable, where any of them was."""
    result: dict[str, Any] = {
        "changed": any(answer.get("changed") for answer in answers.values()),
        "policies": {policy: dict(answer) for policy, answer in answers.items()},
    }
    for word in ("unreachable", "failed"):
        bad = {policy: answer for policy, answer in answers.items() if answer.get(word)}
        if bad:
            result[word] = True
            result["msg"] = " ".join(str(answer.get("msg") or "") for answer in bad.values()).strip()
    return result


def reached(answers: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether any policy's apply succeeded, so that there is something to look at on the host. It stands in the
    host's own result: every host looking itself up in a list of all of them costs the square of the fleet's size."""
    return any(observe.outcome(answer).outcome in state.HELD for answer in answers.values())


def result(hostvars: Any, host: str, variable: str) -> Any:
    """What a task registered as ``variable`` on ``host``; None where it did not, or the inventory has no such host."""
    return hostvars[host].get(variable) if host in hostvars else None


def of(result: Any, policy: str) -> Mapping[str, Any] | None:
    """One policy's answer out of a task's result; a result that came to nothing says so for each of them."""
    if not isinstance(result, Mapping):
        return None
    policies = result.get("policies")
    if isinstance(policies, Mapping):
        found = policies.get(policy)
        return found if isinstance(found, Mapping) else None
    return {key: result[key] for key in ("failed", "unreachable", "msg", "skipped") if key in result}


def _gaps(verdicts: Any) -> dict[str, list[str]]:
    """{clause: [status, detail]} of all that is not enforced in full."""
    if not isinstance(verdicts, Mapping):
        return {}
    return {
        str(clause): [str(verdict.get("status")), str(verdict.get("detail") or "")]
        for clause, verdict in verdicts.items()
        if verdict.get("status") != "enforced"
    }
