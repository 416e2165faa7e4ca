# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the exams share: where the collection and the tests' own helpers lie, and how an exam ends."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import hypothesis

ROOT = Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests/unit/plugins/plugin_utils"
EVERYTHING = UNIT / "backends/golden/everything.yml"
# As pytest has it: see pyproject.toml.
sys.path[:0] = [
    str(ROOT / "build/collections"),
    str(ROOT / "tests/lab"),
    str(ROOT / "tests/oracles/evaluators"),
    str(ROOT / "tests/oracles/linux"),
    str(ROOT / "tests/oracles/macos"),
    str(ROOT / "tests/oracles/windows"),
    str(UNIT / "backends"),
    str(UNIT / "policy"),
]
# Helpers that set a profile of hypothesis need none here: exams count every value that they try.
hypothesis.settings.register_profile("busy", deadline=None)


def end(name: str, figures: Mapping[str, object], shortfalls: list[str]) -> None:
    """Say what fell short, then the one line with the figures, the last; exit with 1 where anything fell short."""
    for line in shortfalls[:40]:
        print(f"  {line}")
    if len(shortfalls) > 40:
        print(f"  ... and {len(shortfalls) - 40} more")
    print(f"exam {name}: {json.dumps(figures)}", flush=True)
    sys.exit(1 if shortfalls else 0)
