# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a table of nftables."""

from __future__ import annotations

import json
import re

CHAIN = re.compile(r"^\s*chain (\S+) \{", re.MULTILINE)


def objects(run, family, name):
    """The objects of one table (libnftables-json(5)), or None where there is no such table. ``run``: see command.py.

    nftables 1.0.6 prints the only flag of a table from memory that it has freed before, and what is no UTF-8 there ends
    the listing. Chains have no flags: then they are listed one by one, and the objects are their rules.
    """
    done = run(["nft", "-j", "list", "table", family, name])
    if done.returncode != 0:
        return None
    try:
        return _listed(done.stdout)
    except ValueError:
        text = run(["nft", "list", "table", family, name]).stdout
        found = []
        for chain in CHAIN.findall(text):
            done = run(["nft", "-j", "list", "chain", family, name, chain])
            if done.returncode != 0:
                return None  # it went meanwhile
            found += _listed(done.stdout)
        return found


def _listed(text):
    return [entry for entry in json.loads(text).get("nftables", []) if "metainfo" not in entry]
