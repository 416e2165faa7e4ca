# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From claims and findings to one outcome a clause. Pure: no host, no clock.

``status`` is what the compiler claimed; ``outcome`` is what is left of it: ``enforced``, ``partial``,
``waived`` and ``refused`` stand, ``failed`` says that a read-back or a probe spoke against it,
``inconclusive`` that a probe could not tell. ``proven`` is True, False, or None where there was nothing
to prove it with.
"""

from __future__ import annotations

UNCLAIMED = "unclaimed"  # a read-back or probe names a clause that has no verdict


def section(clause):
    return clause.partition("[")[0]


def judge_clause(verdict, readbacks, probes, troubles=()):
    """``troubles``: what went wrong for all clauses alike; a clause repeats what stands before the colon."""
    status = verdict["status"]
    failures = [
        "%s %s is %s (wanted: %s %s)"
        % (item["kind"], item["key"], item["got"] or "empty", item["relation"], item["want"])
        for item in readbacks
        if not item["ok"]
    ]
    failures += [
        "%s %s: %s instead of %s" % (probe["action"], probe["target"], probe["got"], probe["expect"])
        for probe in probes
        if probe["ok"] is False
    ]
    unsure = [
        "%s %s: %s" % (probe["action"], probe["target"], probe["note"])
        for probe in probes
        if probe["ok"] is None
    ]
    by = [
        name
        for name, found in (("probe", any(p["ok"] for p in probes)), ("readback", bool(readbacks)))
        if found
    ]
    if status in ("enforced", "partial", UNCLAIMED):
        failures += [trouble.partition(":")[0] for trouble in troubles]
    proven = None
    if failures:
        proven = False
    elif by and not unsure:
        proven = True
    outcome = status
    # What is refused or waived is known to be open: findings are shown and change nothing.
    if status not in ("refused", "waived"):
        outcome = "failed" if failures else "inconclusive" if unsure else status
    return {
        "clause": verdict["clause"],
        "status": status,
        "mechanisms": list(verdict.get("mechanisms") or ()),
        "detail": verdict.get("detail", ""),
        "outcome": outcome,
        "proven": proven,
        "by": by if proven else [],
        "failures": failures,
        "unsure": unsure,
        "readbacks": readbacks,
        "probes": probes,
    }


def judge(verdicts, readbacks, probes, troubles=()):
    """One result a clause, in the order of ``verdicts``; clauses that only findings name come last."""
    claimed = list(verdicts)
    known = {verdict["clause"] for verdict in claimed}
    for finding in list(readbacks) + list(probes):
        if finding["clause"] not in known:
            known.add(finding["clause"])
            claimed.append({"clause": finding["clause"], "status": UNCLAIMED})
    return [
        judge_clause(
            verdict,
            [dict(item) for item in readbacks if item["clause"] == verdict["clause"]],
            [dict(item) for item in probes if item["clause"] == verdict["clause"]],
            list(troubles),
        )
        for verdict in claimed
    ]


def opened(results, clauses, sentence):
    """What a debug overlay opens is not in force as written while it is open, whatever else was found."""
    for result in results:
        if (
            sentence
            and result["clause"] in clauses
            and result["outcome"] in ("enforced", "partial", "failed")
        ):
            if result["outcome"] == "enforced":
                result.update(outcome="partial", proven=None, by=[])
            result["detail"] = "; ".join(filter(None, (sentence, result["detail"])))


def drifted(results, drifts):
    """A clause whose files, rules or process are no longer those of the generation does not hold as claimed.

    Features that changed say that the policy has to be compiled anew; what the host enforces they do not say.
    """
    for result in results:
        for item in drifts:
            claimed = result["outcome"] in ("enforced", "partial", "failed", "inconclusive")
            if result["clause"] in item["clauses"] and item["repair"] != "recompile" and claimed:
                result["failures"].append("drift: %s: %s" % (item["what"], item["why"]))
                result.update(outcome="failed", proven=False, by=[])
