# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A policy that is right, to which the tests add what they are about."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from random import Random
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Manifest

Make = Callable[..., Manifest]
CASES = Path(__file__).parent / "cases"
TODAY = date(2026, 11, 24)
GROUPS = {"app_servers": ["10.0.0.7", "10.0.0.6"], "empty": [], "names": ["web1.example.com"]}
HEAD = """schema: 1
policy: app
version: 1.0.0
owner: team
"""
WORKLOAD = """workload:
  linux: {unit: app.service, executable: /usr/bin/app}
"""


def shuffled(value: Any, random: Random, key: str = "") -> Any:
    """The same document in another order. The words of a command (``health``) are no list of equals: the first is the
    program, and each of the rest means something by its place."""
    if isinstance(value, dict):
        pairs = list(value.items())
        random.shuffle(pairs)
        return {name: shuffled(one, random, name) for name, one in pairs}
    if isinstance(value, list) and key != "command":
        items = [shuffled(one, random) for one in value]
        random.shuffle(items)
        return items
    return value
