# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a line that differs to the clauses that stand behind it. Pure: no host."""

from __future__ import annotations

import os


def by_line(bundle, path):
    """{line number: {clause ids}} of one artifact, as the compiler noted them."""
    found = {}
    for number, clause in bundle.data.get("lines", {}).get(path, ()):
        found.setdefault(number, set()).add(clause)
    return found


def of_file(bundle, path):
    """All clauses that a file of the bundle carries."""
    return sorted(set().union(*by_line(bundle, path).values()))


def of_unit(bundle, unit):
    """All clauses of the files that make up a unit; of what it loads too: without it they are not in force."""
    found = set()
    for item in bundle.artifacts:
        if unit in (item.unit, os.path.basename(item.path)):
            found |= set(of_file(bundle, item.path))
    if unit != bundle.unit and not unit.endswith(".service"):
        # A slice of ours carries what the rules match by.
        for item in bundle.artifacts:
            if item.kind == "nftables":
                found |= set(of_file(bundle, item.path))
    return sorted(found)


def key_of(line):
    return line.partition("=")[0].strip() if "=" in line else ""


def of_content(bundle, item, now):
    """The clauses behind the lines that differ between the artifact and ``now`` (bytes, None for no such file).

    A line that somebody added counts for the clauses of lines with the same key, else for the whole file.
    """
    import difflib  # only where something differs: every apply imports this file

    everything = of_file(bundle, item.path)
    if now is None:
        return everything
    clauses = by_line(bundle, item.path)
    wanted = item.content.decode().splitlines()
    keys = {}
    for number, line in enumerate(wanted, 1):
        keys.setdefault(key_of(line), set()).update(clauses.get(number, ()))
    found = set()
    there = now.decode("utf-8", "replace").splitlines()
    for tag, first, last, begin, end in difflib.SequenceMatcher(
        a=wanted, b=there, autojunk=False
    ).get_opcodes():
        if tag == "equal":
            continue
        for number in range(first + 1, last + 1):
            found |= clauses.get(number, set())
        for line in there[begin:end]:
            text = line.strip()
            if text and text[0] not in "#;":
                found |= (keys.get(key_of(text)) if key_of(text) else None) or set(everything)
    return sorted(found)
