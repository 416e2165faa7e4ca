# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gates: what was seen on the hosts of a wave, and what follows for the rollout.

A check answers good, bad or no data. No data never passes: it stops the rollout where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import outside, state, watch
from .journal import Record
from .plan import Plan

# Waves that exist to find faults: one bad host there ends the rollout, whatever the failure budget says.
PROVING = frozenset({"pilot", "canary"})
DONE = frozenset({"changed", "unchanged"})


@dataclass(frozen=True)
class Observation:
    """What was seen on one host after the soak; None means that nobody could see it.

    ``applied``: the apply's outcome in the journal. ``digest``: of the active generation; ``wanted``: the one
    that was applied. ``service``: active state of the unit; ``ran_before``: whether it ran before the change.
    ``restarts``: since the apply. ``health``: (id, what was wrong) with an empty string for a success.
    ``tried``: probes and read-backs; ``answered``: probes that told allowed from denied; ``failures`` and
    ``unsure``: what spoke against a clause, and what could not tell. ``opened``: what a debug overlay opens.
    ``host``: for people, with the policy where there are several; ``name``: of the host alone.
    """

    host: str
    applied: str | None = None
    detail: str = ""
    digest: str | None = None
    wanted: str = ""
    service: str | None = None
    ran_before: bool | None = None
    health: tuple[tuple[str, str], ...] | None = None
    restarts: int | None = None
    tried: int | None = None
    answered: int = 0
    failures: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    opened: str = ""
    name: str = ""


@dataclass(frozen=True)
class Finding:
    """``good`` is None where there is no data."""

    host: str
    check: str
    good: bool | None
    detail: str = ""


@dataclass(frozen=True)
class Gate:
    """A verdict value; gates do not fail tasks. ``exposure`` counts what the verdict rests on."""

    outcome: str  # pass, abort, pause, inconclusive
    detail: str
    findings: tuple[Finding, ...] = ()
    exposure: dict[str, Any] = field(default_factory=dict, hash=False)


def _applied(seen: Observation) -> tuple[bool | None, str]:
    if seen.applied is None:
        return None, "no outcome of the apply is in the journal"
    return seen.applied in DONE, f"apply: {seen.applied}" + (f" ({seen.detail})" if seen.detail else "")


def _generation(seen: Observation) -> tuple[bool | None, str]:
    if seen.digest is None or not seen.wanted:
        return None, "the active generation could not be read"
    return seen.digest == seen.wanted, f"active generation '{seen.digest[:12]}', not '{seen.wanted[:12]}'"


def _service(seen: Observation) -> tuple[bool | None, str]:
    if seen.service is None:
        return None, "the state of the service could not be read"
    if seen.service == "inactive" and seen.ran_before is False:
        return None, "the application did not run before and does not run now"
    return seen.service == "active", f"service is '{seen.service}'"


def _restarts(seen: Observation) -> tuple[bool | None, str]:
    # A unit in a crash loop is active whenever somebody looks; only the counter tells.
    if seen.restarts is None:
        return None, "the restart counter could not be read"
    return seen.restarts == 0, f"{seen.restarts} restarts since the apply"


def _health(seen: Observation) -> tuple[bool | None, str]:
    if seen.health is None:
        return None, "the health checks did not run"
    wrong = [f"{name}: {fault}" for name, fault in seen.health if fault]
    return not wrong, f"health: {_first(wrong)}"


def _closed(seen: Observation) -> tuple[bool | None, str]:
    # A host whose sandbox somebody opened is no witness for the sandbox.
    return (None, f"is {seen.opened}") if seen.opened else (True, "")


def _probes(seen: Observation) -> tuple[bool | None, str]:
    if seen.opened:
        return None, "the probes ran in a sandbox that is open for debugging"
    if seen.failures:
        return False, f"proof: {_first(seen.failures)}"
    if seen.tried is None:
        return None, "the probes did not run"
    # Single probes that cannot tell (no route to the peer, no such folder) are the same on every host, before
    # and after: they are counted in the exposure. Not one answer is no data.
    if seen.unsure and not seen.answered:
        return None, f"unproven: {_first(seen.unsure)}"
    return True, ""


def _exercise(seen: Observation) -> tuple[bool | None, str]:
    # Quiet proves little: something must have used the application.
    count = len(seen.health or ()) + (seen.tried or 0)
    return (True, "") if count else (None, "no health check and no probe exercised the application")


def _first(texts: Sequence[str], most: int = 3) -> str:
    rest = f" (and {len(texts) - most} more)" if len(texts) > most else ""
    return "; ".join(texts[:most]) + rest


CHECKS: dict[str, Callable[[Observation], tuple[bool | None, str]]] = {
    "applied": _applied,
    "generation": _generation,
    "service": _service,
    "restarts": _restarts,
    "health": _health,
    "closed": _closed,
    "probes": _probes,
    "exercise": _exercise,
}


def judge_host(seen: Observation) -> tuple[Finding, ...]:
    """Every check on one host. Where the apply is known to have failed the others have nothing to say."""
    good, detail = _applied(seen)
    if good is False:
        return (Finding(seen.host, "applied", False, detail),)
    return tuple(
        Finding(seen.host, name, answer, "" if answer else text)
        for name, check in CHECKS.items()
        for answer, text in [check(seen)]
    )


def lost(plan: Plan, records: Iterable[Record], wave: str, seen: watch.Verdict | None = None) -> bool:
    """True where the journal already has what makes ``judge`` abort, whatever else would be seen in this wave."""
    lines = list(records)
    seen = seen or watch.Verdict()
    failed = [one for one in state.failures(plan, lines) if one.apply != state.INTENT]
    hard = [one for one in failed if one.wave == wave and one.apply != "unreachable"]
    names = {plan.label(one.name, one.policy): one.name for one in plan.hosts}
    sick = {names.get(label, label) for label in seen.sick}
    over = len({one.host for one in failed} | sick) > plan.options.max_failed
    proven_bad = bool((hard or seen.sick) and wave in PROVING)
    return over or proven_bad or seen.denied or state.asked(lines, "abort") is not None


def judge(
    wave: str,
    observations: Iterable[Observation],
    *,
    failed_before: int = 0,
    max_failed: int = 0,
    pause: str = "",
    abort: str = "",
    watched: watch.Verdict | None = None,
    looks: bool = False,
    ask: Callable[[], Sequence[outside.Answer]] = tuple,
) -> Gate:
    """The verdict over one wave.

    ``failed_before``: hosts that failed in earlier waves; ``max_failed``: the budget over all waves; ``pause``: why to
    stop after this wave although it passes; ``abort``: who asked for an end. ``watched``: what the looks while it
    soaked came to, ``looks``: there should have been some. ``ask`` asks the gates of one's own, where it gets so far.
    """
    seen, watched = list(observations), watched or watch.Verdict()
    findings = tuple(finding for one in seen for finding in judge_host(one))
    findings += tuple(
        Finding(host, "watch", False, f"while it soaked: {text}") for host, text in watched.sick.items()
    )
    bad = _by_host(finding for finding in findings if finding.good is False)
    # A host that failed is counted as that; what else is unknown about it changes nothing.
    unknown = _by_host(f for f in findings if f.good is None and f.host not in bad)
    good = [one.host for one in seen if one.host not in bad and one.host not in unknown]
    exposure: dict[str, Any] = {
        "hosts": len(seen),
        "good": len(good),
        "health": sum(len(one.health or ()) for one in seen),
        "probes": sum(one.tried or 0 for one in seen),
        "unsure": sum(len(one.unsure) for one in seen),
    }
    if looks:
        exposure |= {"looks": watched.looks}
    if watched.line:
        exposure |= {"e_value": round(watched.value, 3), "line": round(watched.line, 3)}
    # A host is one, however many of its policies failed.
    names = {one.host: one.name or one.host for one in seen}
    failed = failed_before + len({names.get(label, label) for label in bad})
    hard = [one.host for one in seen if one.host in bad and one.applied != "unreachable"]

    def gate(outcome: str, text: str) -> Gate:
        # What failed is the reason to abort; what could not be seen besides is noise then.
        told = bad if outcome == "abort" else bad | unknown
        reasons = "; ".join(f"{host}: {', '.join(texts)}" for host, texts in told.items())
        return Gate(outcome, f"{text} {reasons.rstrip('.')}." if reasons else text, findings, exposure)

    if abort:
        return gate("abort", abort)
    if failed > max_failed:
        return gate("abort", f"Failed hosts: {failed}, allowed: {max_failed}.")
    if hard and wave in PROVING:
        return gate("abort", f"A host of the {wave} failed.")
    if watched.denied:
        return Gate("abort", f"{_sentence(watched.detail)}", findings, exposure)
    if unknown:
        return gate("inconclusive", f"Not enough was seen on {len(unknown)} of {len(seen)} hosts.")
    if not good:
        return gate("inconclusive", f"No host of {wave} was found good.")
    if watched.blind:
        return gate("inconclusive", f"The denials of {watched.blind} hosts could not be read.")
    if looks and not watched.looks:
        return gate("inconclusive", "Nobody looked at the hosts while they soaked.")
    answers = list(ask())
    if answers:
        exposure["asked"] = len(answers)
    for outcome in ("abort", "inconclusive", "pause"):
        if found := [one.detail for one in answers if one.outcome == outcome]:
            return Gate(outcome, f"{_sentence('; '.join(found))}", findings, exposure)
    if pause:
        return gate("pause", pause)
    unsure = f" {exposure['unsure']} probes could not tell." if exposure["unsure"] else ""
    told = "".join(
        f" {_sentence(text)}" for text in (watched.detail, *(one.detail for one in answers)) if text
    )
    return gate("pass", f"{len(good)} of {len(seen)} hosts are good.{unsure}{told}")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _by_host(findings: Iterable[Finding]) -> dict[str, list[str]]:
    hosts: dict[str, list[str]] = {}
    for finding in findings:
        hosts.setdefault(finding.host, []).append(finding.detail)
    return hosts
