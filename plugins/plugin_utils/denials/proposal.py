# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that was tried: applied to the document in memory, resolved again, and judged by the clauses alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..backends.systemd_kernel import lost
from ..policy import model as m
from ..policy.diff import Direction, diff
from ..policy.evaluate import Outcome, path_act
from ..policy.faults import PolicyFaults
from .acts import Act
from .attribute import Attribution, component_of
from .change import Change, Policy, faults_in_words
from .wanted import wish
from .wishes import NoChange, Wish


@dataclass(frozen=True)
class Proposal:
    """``change`` is None where nothing is proposed, and ``why`` says why. ``widens``: clauses that differ
    afterwards."""

    change: Change | None
    opens: tuple[str, ...] = ()
    widens: tuple[str, ...] = ()
    why: str = ""

    def data(self) -> dict[str, Any]:
        """Plain data for a task's result; ``change`` is a piece of the document, ``yaml`` the same as text."""
        return {
            "change": None if self.change is None else self.change.fragment(),
            "yaml": "" if self.change is None else self.change.text(),
            "opens": list(self.opens),
            "widens": list(self.widens),
            "why": self.why,
        }


def propose(policy: Policy, act: Act, found: Attribution) -> Proposal:
    """The smallest change of ``policy`` that allows ``act`` and that the language and all examples agree to."""
    component = component_of(policy.manifest, act)
    if component is not None:
        return Proposal(
            None, why=f"What it may do stands in the policy '{component.policy}': change that one."
        )
    try:
        wanted = wish(policy, act, found)
    except NoChange as reason:
        return Proposal(None, why=f"{reason}.")
    try:
        changed, change = _tried(policy, wanted)
    except PolicyFaults as problem:
        return Proposal(
            None, why=f"The change '{wanted.change.text()}' is refused: {faults_in_words(problem)}"
        )
    if not wanted.holds(changed):
        text = wanted.change.text()
        return Proposal(None, why=f"The change '{text}' would not allow it: another clause denies it too.")
    broken = _broken_by_link(policy, changed)
    if broken:
        return Proposal(None, why=f"The change '{wanted.change.text()}' is refused: {broken}")
    changes = diff(policy.manifest, changed)
    widened = tuple(one.clause for one in changes if one.direction is not Direction.NARROWS)
    return Proposal(change, (*wanted.opens, *_doors(policy, changed)), widened)


def _doors(policy: Policy, changed: m.Manifest) -> list[str]:
    """What of the unit's sandbox goes with the change, whatever the change was for."""
    return lost(policy.manifest, changed, lambda path: policy.links.get(path, path))


def _broken_by_link(policy: Policy, changed: m.Manifest) -> str:
    """An example that must be denied and that the change allows under the file's real name; only a host knows that."""
    for example in changed.examples:
        path = example.path.on(m.OS.LINUX) if example.path is not None else None
        real = policy.links.get(path or "")
        if example.allow or real is None:
            continue
        now = path_act(changed.clauses, example.action, real, m.OS.LINUX)
        before = path_act(policy.manifest.clauses, example.action, real, m.OS.LINUX)
        if now.outcome is Outcome.ALLOW and before.outcome is not Outcome.ALLOW:
            return f"'{example.action} {path}' must be denied, and on the host {path} is {real}."
    return ""


def _tried(policy: Policy, wanted: Wish) -> tuple[m.Manifest, Change]:
    """The policy after the change. Where a baseline allows less, once more with the entries under 'widens'."""
    try:
        return policy.changed(wanted.change), wanted.change
    except PolicyFaults:
        clauses = _new_clauses(wanted.change)
        if not clauses or not policy.document.baselines:
            raise
        try:
            widening = wanted.change.widening(clauses)
            return policy.changed(widening), widening
        except PolicyFaults:
            pass
        raise


def _new_clauses(change: Change) -> tuple[str, ...]:
    """The ids that a baseline's cap is about: settings go by their section, privileges by their own."""
    settings = {section for section, _value in change.put}
    settings |= {
        section for section, _value in change.added if section in (m.Families.section, m.Syscalls.section)
    }
    grants = {f"{section}[{value}]" for section, value in change.added if section == m.Privilege.section}
    return tuple(sorted(settings | grants))
