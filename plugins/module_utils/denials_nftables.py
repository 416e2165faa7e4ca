# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the policy's nftables table refused: the kernel's log lines with our prefix, and the counters of its rules.

The lines tell who and where, at most 5 in a second for each rule. The counters tell how many, all of them.
"""

from __future__ import annotations

import ipaddress
import re

from . import denials_audit, nft_tables
from . import denials_numbers as numbers
from .command import run

_WORD = re.compile(r"([A-Z]+)=(\S*)")
_SUFFIXES = (" max_open", " rate")


def prefix(policy):
    return "bulkhead %s " % policy


def denial(policy, text, prefixes):
    """(facts, who is at the other end) of one kernel line, or None.

    ``prefixes``: {log prefix: comment of its rule}. A clause id may hold anything, so the table itself says which
    prefix is whose; a line of a rule that is no longer there is read as it stands.
    """
    known = next((one for one in prefixes if text.startswith(one + "IN=")), "")
    end = len(known) if known else text.rfind(": IN=") + 2
    if not text.startswith(prefix(policy)) or end < len(prefix(policy)) + 2:
        return None
    words = {}
    for name, value in _WORD.findall(text[end:]):
        words.setdefault(name, value)
    outgoing = bool(words.get("OUT"))
    peer = address(words.get("DST" if outgoing else "SRC", ""))
    facts = {
        "mechanism": "nftables",
        "act": "connect" if outgoing else "listen",
        "label": denials_audit.printable(prefixes.get(known) or text[len(prefix(policy)) : end - 2], 200),
        "protocol": words.get("PROTO", "").lower(),
        "port": numbers.number(words.get("DPT"), numbers.PORT),
        "attribution": "slice",
    }
    if outgoing:
        facts["address"] = peer
    return facts, peer


def address(text):
    """An address as people write it: the kernel spells out every zero of IPv6."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return denials_audit.printable(text, 60)


def table(name):
    """({comment: packets}, {log prefix: comment}) of the rules that refuse, or None where there is no such table."""
    listed = nft_tables.objects(run, "inet", name)
    return None if listed is None else refusing(listed)


def refusing(listing):
    """The counted rules of a table's objects behind a log rule: that pair is how a refusal is written."""
    counts, prefixes, logged = {}, {}, ""
    for entry in listing:
        rule = entry.get("rule")
        if rule is None:
            continue
        parts = {name: value for expression in rule.get("expr", ()) for name, value in expression.items()}
        if "log" in parts:
            logged = (parts["log"] or {}).get("prefix", "")
            continue
        comment = rule.get("comment", "")
        if logged and comment and "counter" in parts and "accept" not in parts:
            counts[comment] = counts.get(comment, 0) + int((parts["counter"] or {}).get("packets", 0))
            prefixes[logged] = comment
        logged = ""
    return counts, prefixes


def clause_of(label):
    """The clause id in a rule's comment, and which limit of it (max_open, rate) or nothing."""
    for suffix in _SUFFIXES:
        if label.endswith(suffix):
            return label[: -len(suffix)], suffix.strip()
    return label, ""
