# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a policy holds: read back, and try its probes."""

from __future__ import annotations

import platform

from . import probing, survey
from .errors import HostError

OUTCOMES = ("enforced", "partial", "failed", "inconclusive", "refused", "waived", "unclaimed")


def answer(request, check):
    found = {}
    try:
        if request["survey"]:
            found["survey"] = survey.survey(request["policy"], with_health=True)
        bundle = request["bundle"] or probing.active_bundle(request["policy"])
        probes = request["method"] != "none" and not check
        evidence = probing.verify(
            bundle, request["host"] or platform.node(), request["method"], probes, found.get("survey")
        )
    except HostError as error:
        # The survey is worth having also where the proof failed.
        raise HostError(str(error), state=error.state, **{**found, **error.extra}) from None
    counts = dict.fromkeys(OUTCOMES, 0)
    for clause in evidence["clauses"]:
        counts[clause["outcome"]] += 1
    return {"evidence": evidence, "summary": counts, **found}
