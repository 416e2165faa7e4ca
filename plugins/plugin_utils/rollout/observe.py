# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what Ansible's tasks returned to what plan and gates reason about. What is missing stays None."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from .gates import Observation
from .plan import DEFAULT_RISK, PlannedHost
from .state import HostState

_LONGEST = 400
# Of a refusal a person needs all: twenty clauses, and a waiver for each.
_LONGEST_REFUSAL = 8000
_RUNNING = ("active", "activating", "reloading")
# A failed change that says how it left the host.
_FAILED_AS = {"refused": "refused", "unchanged": "refused", "reverted": "reverted"}

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a change came to on one host: the words of phase ``apply`` in the journal."""

    outcome: str  # changed, unchanged, failed, reverted, refused, unreachable
    from_digest: str = ""
    to_digest: str = ""
    detail: str = ""


def outcome(result: Result) -> Outcome:
    """Of a task that applies. A failure whose state nobody told is ``failed``: the host may have changed."""
    from_digest, to_digest = str(result.get("from") or ""), str(result.get("digest") or "")
    if result.get("unreachable"):
        return Outcome("unreachable", from_digest, to_digest, message(result))
    if result.get("failed"):
        word = _FAILED_AS.get(str(result.get("state")), "failed")
        return Outcome(word, from_digest, to_digest, message(result))
    word = "changed" if result.get("changed") else "unchanged"
    return Outcome(word, from_digest, to_digest, str(result.get("note") or ""))


def rollback_outcome(result: Result) -> Outcome:
    """Of a task that goes back: rolled_back, not_needed, failed, or owed where nobody could go there."""
    from_digest, to_digest = str(result.get("from") or ""), str(result.get("digest") or "")
    if result.get("skipped"):
        return Outcome("owed", detail="nobody knows which generation the host holds")
    if result.get("unreachable"):
        return Outcome("owed", from_digest, to_digest, message(result))
    if result.get("failed"):
        return Outcome("failed", from_digest, to_digest, message(result))
    word = "rolled_back" if result.get("changed") else "not_needed"
    return Outcome(word, from_digest, to_digest, str(result.get("note") or ""))


def message(result: Result, longest: int = _LONGEST) -> str:
    """The task's own message, on one line, cut where it is long."""
    text = " ".join(str(result.get("msg") or "").split())
    return text if len(text) <= longest else text[: longest - 1] + "…"


def refusals(looks: Iterable[tuple[str, Result | None]]) -> list[str]:
    """What the hosts refuse before anything changed: one line for each message, naming its hosts.

    A name is a host's, or that and its policy's. The host is left out of the message, which is the same for all then.
    """
    found: dict[str, list[str]] = {}
    for name, look in looks:
        if look and look.get("failed") and not look.get("unreachable"):
            own = name.partition(" ")[0]
            text = message(look, _LONGEST_REFUSAL).replace(f" is refused for {own},", " is refused,")
            found.setdefault(text or "failed without a message.", []).append(name)
    return [f"{', '.join(names)}: {text}" for text, names in found.items()]


def diff_lines(look: Result) -> list[str]:
    """What a check-mode apply would change: one line a file, with the lines that it gains and loses."""
    entries = look.get("diff") or ()
    return note_lines(look) + [
        text for entry in ([entries] if isinstance(entries, Mapping) else entries) if (text := _diff(entry))
    ]


def note_lines(look: Result) -> list[str]:
    """What a plan names besides the change."""
    debug = opened(_mapping(look, "debug"))
    return [f"is {debug}; the rollout closes it"] if debug else []


def _diff(entry: Result) -> str:
    before, after = (str(entry.get(side) or "").splitlines() for side in ("before", "after"))
    steps = [step for step in SequenceMatcher(a=before, b=after).get_opcodes() if step[0] != "equal"]
    gained, lost = sum(step[4] - step[3] for step in steps), sum(step[2] - step[1] for step in steps)
    names = [str(entry.get(f"{side}_header") or "") for side in ("after", "before")]
    name = next((name for name in names if name != "/dev/null"), "")
    return f"{name}: +{gained} -{lost} lines" if steps else ""


def planned(name: str, risk: str, look: Result | None, policy: str = "") -> PlannedHost:
    """A host for the plan. ``look``: the result of the check-mode apply, None where there is none."""
    seen = look or {"unreachable": True}
    from_digest, to_digest = str(seen.get("from") or ""), str(seen.get("digest") or "")
    return PlannedHost(
        name=name,
        risk=risk or DEFAULT_RISK,
        fingerprint=str(seen.get("fingerprint") or ""),
        from_digest=from_digest,
        to_digest=to_digest,
        reachable=not seen.get("unreachable"),
        current=bool(to_digest) and from_digest == to_digest and not seen.get("changed"),
        policy=policy,
    )


def observation(
    state: HostState, apply: Result | None, probe: Result | None, label: str = "", planned: str = ""
) -> Observation:
    """One host of a wave for its gate, out of the results of its tasks.

    The apply's outcome comes from the journal, not from memory; its result tells how the application was before
    and right after the change. The probe's result has a survey of the host after the soak, failed or not.
    ``label``: the host for people. ``planned``: the generation of the plan; it stands unless the apply said why another
    one is right.
    """
    done, now = _usable(apply), _mapping(probe, "survey")
    ran = str((done or {}).get("application") or "")
    shown = _mapping(_usable(probe), "proof") or {}
    return Observation(
        host=label or state.host,
        name=state.host,
        applied=state.apply if state.apply not in ("", "intent") else None,
        detail=state.detail,
        digest=_text(now, "active"),
        wanted=state.to_digest if (done or {}).get("note") else planned or state.to_digest,
        service=_text(_mapping(now, "service"), "state"),
        health=_health(now),
        restarts=restarts(_mapping(done, "service"), _mapping(now, "service")),
        ran_before=ran in _RUNNING if ran else None,
        tried=shown.get("tried"),
        answered=int(shown.get("answered") or 0),
        failures=tuple(shown.get("failures") or ()),
        unsure=tuple(shown.get("unsure") or ()),
        opened=opened(_mapping(now, "debug")),
    )


def opened(debug: Result | None) -> str:
    """ "" where no debug overlay is open, else until when, by whom and why."""
    if not debug or not debug.get("open"):
        return ""
    until, who, why = (str(debug.get(key) or "?") for key in ("until", "by", "reason"))
    words = ", ".join(str(word) for word in debug.get("words") or ["?"])
    return f"open for debugging ({words}) until {until}, by {who}: {why}"


def restarts(before: Result | None, seen: Result | None) -> int | None:
    """Restarts between two looks at a service; a new invocation is one even where the counter began anew."""
    counts = [side.get("restarts") if side else None for side in (before, seen)]
    if before is None or seen is None or not all(isinstance(count, int) for count in counts):
        return None
    grown = int(counts[1] or 0) - int(counts[0] or 0)
    return max(grown, 1 if before.get("invocation") != seen.get("invocation") else 0)


def _usable(result: Result | None) -> Result | None:
    if not result or result.get("failed") or result.get("unreachable") or result.get("skipped"):
        return None
    return result


def _mapping(result: Result | None, key: str) -> Result | None:
    value = result.get(key) if result else None
    return value if isinstance(value, Mapping) else None


def _text(result: Result | None, key: str) -> str | None:
    value = result.get(key) if result else None
    return value if isinstance(value, str) else None


def _health(result: Result | None) -> tuple[tuple[str, str], ...] | None:
    checks = result.get("health") if result else None
    if not isinstance(checks, list):
        return None
    return tuple((str(c["id"]), "" if c["ok"] else str(c.get("detail") or "failed")) for c in checks)


def proof(result: Result | None) -> dict[str, Any]:
    """``tried``, ``answered``: how much was tried and answered; ``failures``, ``unsure``: what spoke against a clause,
    and what could not tell. Empty where there is no evidence.

    ``troubles`` of the evidence concern all clauses alike. Where no probe gave an answer they say why nothing
    is known; where probes did, the answers rest on something that is not as it should be.
    """
    evidence = _mapping(result, "evidence")
    clauses = evidence.get("clauses") if evidence else None
    if evidence is None or not isinstance(clauses, list):
        return {}
    troubles = [str(text) for text in evidence.get("troubles") or ()]
    failures = _texts(clauses, "failed", "failures", troubles)
    unsure = _texts(clauses, "inconclusive", "unsure", troubles)
    answered = sum(probe.get("ok") is not None for clause in clauses for probe in clause["probes"])
    (failures if answered else unsure).extend(troubles)
    tried = sum(len(clause["probes"]) + len(clause["readbacks"]) for clause in clauses)
    return {"tried": tried, "answered": answered, "failures": failures, "unsure": unsure}


def _texts(clauses: Iterable[Result], outcome: str, key: str, troubles: Collection[str]) -> list[str]:
    chosen = (clause for clause in clauses if clause["outcome"] == outcome)
    return [f"{c['clause']}: {text}" for c in chosen for text in c[key] if text not in troubles]
