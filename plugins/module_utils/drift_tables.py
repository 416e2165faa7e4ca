# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules in the kernel against the rules of the bundle.

nft prints its own way, by version: so the bundle's rules are loaded into an empty network namespace and listed there by
the same program. What the kernel lists must be the same text, without counters (nft(8), --stateless).
"""

from __future__ import annotations

import hashlib
import os
import re

from . import drift_lines
from .command import PATH, run
from .nft_tables import CHAIN

_COMMENT = re.compile(r'comment "([^"]*)"')
_OWNED = re.compile(r"^table (\S+ \S+) \{ flags owner; \}$", re.MULTILINE)
_PROGRAM = re.compile(r"\{ # progname \S+.*$")
_LOAD = 'nft -f - && nft -s list table "$1" "$2"'


def declared(bundle):
    """[(artifact, family, table)] of the rule files."""
    found = []
    for item in bundle.artifacts:
        if item.kind == "nftables":
            for line in item.content.decode().splitlines():
                words = line.split()
                # "table inet x { flags owner; }" makes the table so that it can be deleted; its rules come after.
                if len(words) == 4 and words[0] == "table" and words[3] == "{":
                    found.append((item, words[1], words[2]))
    return found


def listed(family, name):
    """The table's rules as text; None where there is no such table."""
    done = run(["nft", "-s", "list", "table", family, name])
    return _without_owner(done.stdout) if done.returncode == 0 else None


def _without_owner(text):
    """Rules without who owns them: an owned table goes with its owner, so aside it is loaded as nobody's."""
    text = _OWNED.sub(r"table \1 {}", text)
    lines = [line for line in text.splitlines() if line.strip() not in ("", "flags owner")]
    return "\n".join(_PROGRAM.sub("{", line) for line in lines) + "\n"


def wanted(item, family, name):
    """How the rules of ``item`` look when they are loaded; None where this host cannot try it aside."""
    done = run(
        ["unshare", "--net", "sh", "-c", _LOAD, "sh", family, name],
        stdin=_without_owner(item.content.decode()),
    )
    return _without_owner(done.stdout) if done.returncode == 0 else None


def key(item):
    """Names a listing: these rules, printed by this nft."""
    program = next((path for path in (p + "/nft" for p in PATH.split(":")) if os.path.exists(path)), "")
    status = os.stat(program) if program else None
    stamp = "%d %d" % (status.st_mtime_ns, status.st_size) if status else ""
    return hashlib.sha256(item.content + stamp.encode()).hexdigest()


def remember(bundle, seen):
    """{"family table": [key, text]} for ``seen.json``, so that a look need not load the rules again."""
    found = {}
    for item, family, name in declared(bundle):
        text = _known(item, family, name, seen)
        if text is not None:
            found["%s %s" % (family, name)] = [key(item), text]
    return found


def difference(bundle, item, family, name, seen):
    """(why, clauses): ("", []) where the kernel has exactly the rules of the bundle."""
    there = listed(family, name)
    everything = drift_lines.of_file(bundle, item.path)
    if there is None:
        return "nftables table is gone", everything
    text = _known(item, family, name, seen)
    if text is None or text == there:
        # Where it cannot be tried aside the read-backs of verify still look for every rule by its comment.
        return "", []
    return _explain(bundle, item, text, there, everything)


def _known(item, family, name, seen):
    """``wanted``, or what a generation with the same rules remembers of it."""
    kept = seen.get("tables", {}).get("%s %s" % (family, name)) or ["", ""]
    return kept[1] if kept[0] == key(item) else wanted(item, family, name)


def _explain(bundle, item, text, there, everything):
    import difflib  # only where something differs: every apply imports this file

    old, new = text.splitlines(), there.splitlines()
    chains = _chains(bundle, item)
    found, stale = set(), False
    for tag, first, last, begin, end in difflib.SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        stale = stale or any("socket cgroupv2" in line for line in old[first:last])
        for lines, place, gone in (
            (old[first:last], (old, first), True),
            (new[begin:end], (new, begin), False),
        ):
            for line in lines:
                found |= _of_line(line, place, chains, gone) or set(everything)
    why = (
        "its match on the slice is stale: it matches nothing"
        if stale
        else "its rules are not those of the policy"
    )
    return why, sorted(found)


def _of_line(line, place, chains, gone):
    """A rule that is gone counts for its own clause; one that came counts for what closes its chain."""
    match = _COMMENT.search(line)
    if match and gone:
        return {match.group(1)}
    lines, at = place
    names = [found.group(1) for found in map(CHAIN.match, lines[: at + 1]) if found]
    clauses = chains.get(names[-1], set()) if names else set()
    return {clause for clause in clauses if "[" not in clause} or clauses


def _chains(bundle, item):
    """{chain: {clauses}} by the lines of the artifact."""
    clauses = drift_lines.by_line(bundle, item.path)
    found, name = {}, ""
    for number, line in enumerate(item.content.decode().splitlines(), 1):
        match = CHAIN.match(line)
        name = match.group(1) if match else name
        if name:
            found.setdefault(name, set()).update(clauses.get(number, ()))
    return found
