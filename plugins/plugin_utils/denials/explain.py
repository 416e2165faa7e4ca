# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's answer with a clause and a proposal for each denial, and the same as lines for people."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from ..policy import load
from ..policy import manifest as manifests
from ..policy import model as m
from ..policy.resolve import Groups, resolve
from . import acts
from .attribute import attribute
from .change import Policy
from .proposal import propose

NO_CLAUSE = "no clause"
# What the host gives for this work alone.
_INNER = ("calls", "links", "policy_digest")


def read_policy(name: str, folders: Sequence[str], groups: Groups, today: date) -> Policy:
    """The policy as document and manifest. Raises PolicyFaults."""
    document = load.load_policy(name, folders)
    return Policy(document, resolve(document, groups, today), groups, today)


def explain(answer: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    """The module's result: ``answer`` of the host, each denial with act, clause, proposal and fingerprint."""
    policy = _in_mode(policy, str(answer.get("mode", "")))
    notes = list(answer.get("notes", []))
    if answer.get("policy_digest") != policy.manifest.digest:
        notes.append(
            "the host runs another version of the policy than the one that is read here: clauses and changes are "
            "those of the latter"
        )
    policy = replace(policy, links=dict(answer.get("links") or {}))
    rows = [_row(policy, row, answer.get("calls")) for row in answer.get("denials", [])]
    rest = {key: value for key, value in answer.items() if key not in _INNER}
    result = {**rest, "denials": rows, "notes": notes}
    return {**result, "lines": lines(result)}


def _in_mode(policy: Policy, mode: str) -> Policy:
    """The policy in the mode that the host has it in: audit is often set when it is rolled out, not in the file."""
    if mode not in ("audit", "enforce") or mode == policy.manifest.mode.value:
        return policy
    manifest = replace(policy.manifest, mode=m.Mode(mode), digest="")
    return replace(policy, manifest=replace(manifest, digest=manifests.digest(manifest)))


def _row(policy: Policy, row: Mapping[str, Any], allowed: Sequence[str] | None) -> dict[str, Any]:
    act = acts.of(row)
    found = attribute(policy.manifest, act, None if allowed is None else frozenset(allowed))
    offered = propose(policy, act, found)
    clause = found.clause or NO_CLAUSE
    words = act.words()
    print_ = hashlib.sha256(
        "\0".join((policy.manifest.policy, clause, act.mechanism, words)).encode()
    ).hexdigest()
    known = ("mechanism", "enforced", "attribution", "count", "first", "last")
    samples = {key: row[key] for key in ("programs", "commands", "peers") if row.get(key)}
    inner = {"reason", "count", "first", "last", *samples}
    return {
        "clause": clause,
        "act": words,
        "note": found.note,
        **{key: row.get(key) for key in known},
        "facts": {key: value for key, value in row.items() if key not in {*known, *inner}},
        "samples": samples,
        "proposal": offered.data(),
        "fingerprint": print_[:16],
    }


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result for people: denials by clause, then what could be changed and what that opens, then what is unseen."""
    rows = list(result["denials"])
    head = f"{result['policy']} ({result['unit']}, {result['mode']}): {sum(row['count'] for row in rows)} denials"
    out = [head if rows else f"{result['policy']} ({result['unit']}, {result['mode']}): no denials"]
    for clause in sorted({row["clause"] for row in rows}):
        mine = [row for row in rows if row["clause"] == clause]
        out.append(f"{clause}: {sum(row['count'] for row in mine)}")
        for row in sorted(mine, key=lambda one: (-one["count"], one["act"])):
            out += _told(row)
    out += [f"note: {note}." for note in result["notes"]]
    for silent in result["unrecorded"]:
        out.append(
            f"not recorded: {silent['mechanism']} ({', '.join(silent['clauses'])}): {silent['reason']}"
        )
    return out


def _told(row: Mapping[str, Any]) -> list[str]:
    seen = f"{row['first'] or 'unknown'} to {row['last']}" if row["last"] else "times unknown"
    would = "" if row["enforced"] else ", not refused (audit)"
    out = [f"  {row['count']}x {row['act']} [{row['mechanism']}{would}] {seen}"]
    offered = row["proposal"]
    if offered["change"] is None:
        return [*out, f"     no change proposed: {offered['why']}"]
    out += [f"     change: {line}" for line in offered["yaml"].splitlines()]
    return out + [f"     opens also: {line}" for line in offered["opens"] or ["nothing else"]]


def merged(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The denials of several hosts, equal ones by fingerprint as one with ``hosts`` and the sum of counts."""
    found: dict[str, dict[str, Any]] = {}
    for host in sorted(results):
        for row in results[host].get("denials", []):
            one = found.setdefault(row["fingerprint"], {**row, "count": 0, "hosts": []})
            one["count"] += row["count"]
            if host not in one["hosts"]:  # a host may tell of one act by several mechanisms
                one["hosts"].append(host)
            one["first"] = min(filter(None, (one["first"], row["first"])), default=None)
            one["last"] = max(filter(None, (one["last"], row["last"])), default=None)
    return sorted(found.values(), key=lambda row: (row["clause"], -row["count"], row["act"]))


def merged_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each merged denial."""
    out = []
    for row in rows:
        change = row["proposal"]["yaml"].replace("\n", "; ") or "no change proposed"
        out.append(f"{row['clause']}: {row['count']}x {row['act']} on {', '.join(row['hosts'])}: {change}")
    return out
