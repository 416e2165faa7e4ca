# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read back what a bundle says must be true on the host. Cheap, and proves no more than itself."""

from __future__ import annotations

MISSING = "(not there)"


def _unit_property(facts, item, unit):
    return facts.show(unit, item["key"])


def _process_status(facts, item, unit):
    return facts.status(facts.main_pid(unit)).get(item["key"])


def _process_limit(facts, item, unit):
    return facts.hard_limit(facts.main_pid(unit), item["key"])


def _mount_option(facts, item, unit):
    options = facts.mount_options(facts.main_pid(unit), item["key"])
    return " ".join(options) if options else None


def _nft_rule(facts, item, unit):
    entries = facts.table_once(item["key"])
    if entries is None:
        return None
    comments = [entry["rule"]["comment"] for entry in entries if entry.get("rule", {}).get("comment")]
    return item["value"] if item["value"] in comments else "%d rules, none with this comment" % len(comments)


def _apparmor_profile(facts, item, unit):
    return facts.profile_mode(item["key"])


def _process_label(facts, item, unit):
    return facts.label(facts.main_pid(unit))


def _cgroup_file(facts, item, unit):
    return facts.cgroup_file(unit, item["key"])


def _unit_state(facts, item, unit):
    return facts.show(item["key"], "ActiveState")


def _slice_match(facts, item, unit):
    """The control groups that the socket matches of a table point at; a stale one lists as a number."""
    entries = facts.table_once(item["key"])
    if entries is None:
        return None
    found = set()
    for entry in entries:
        for expression in entry.get("rule", {}).get("expr", ()):
            match = expression.get("match", {})
            left = match.get("left")
            if isinstance(left, dict) and left.get("socket", {}).get("key") == "cgroupv2":
                found.add(str(match.get("right")))
    return " ".join(sorted(found)) or None


KINDS = {
    "unit_property": _unit_property,
    "process_status": _process_status,
    "process_limit": _process_limit,
    "mount_option": _mount_option,
    "nft_rule": _nft_rule,
    "cgroup_file": _cgroup_file,
    "apparmor_profile": _apparmor_profile,
    "process_label": _process_label,
    "unit_state": _unit_state,
    "slice_match": _slice_match,
}


def _words(text):
    return sorted(text.split())


def _equals(got, want):
    """The same text, or the same words: systemd prints the words of a list in an order of its own."""
    return got == want or _words(got) == _words(want)


def _contains(got, want):
    return set(want.split()) <= set(got.split())


def _excludes(got, want):
    return not set(want.split()) & set(got.split())


def _at_most(got, want):
    """Numbers; ``max`` and ``infinity`` are more than any."""
    return float("inf" if got == "max" else got) <= float("inf" if want == "max" else want)


RELATIONS = {"equals": _equals, "contains": _contains, "excludes": _excludes, "at_most": _at_most}


def holds(kind, relation, got, want):
    """Whether what was read is as wanted. Nothing read holds nothing, not even ``excludes``."""
    if got is None or relation not in RELATIONS:
        return False
    if (
        kind == "slice_match"
    ):  # every match, and the path may end with the slice: bulkhead.slice/bulkhead-x.slice
        return bool(got) and all(("/" + path).endswith("/" + want) for path in got.split())
    try:
        return bool(RELATIONS[relation](got, want))
    except ValueError:
        return False


def evaluate(readbacks, facts, unit, load=True):
    """Results in the order of ``readbacks``: each with ``clause``, ``want``, ``got`` and ``ok``.

    ``load``: ask systemd at once for all that is needed; False where ``facts`` know it already.
    """
    wanted = {unit: {"MainPID"}}
    for item in readbacks:
        if item["kind"] == "unit_property":
            wanted.setdefault(item.get("unit") or unit, set()).add(item["key"])
        elif item["kind"] == "unit_state":
            wanted.setdefault(item["key"], set())
    if load:
        facts.load(wanted)
    results = []
    for item in readbacks:
        owner = item.get("unit") or unit
        relation = item.get("relation", "equals")
        read = KINDS.get(item["kind"])
        got = read(facts, item, owner) if read else None
        results.append(
            {
                "clause": item["clause"],
                "kind": item["kind"],
                "key": item["key"],
                "unit": owner,
                "relation": relation,
                "want": item["value"],
                "got": (MISSING if got is None else got) if read else "this version knows no such read-back",
                "ok": holds(item["kind"], relation, got, item["value"]),
            }
        )
    return results
