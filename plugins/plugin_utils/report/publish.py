# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what hosts answered as evidence files, and write report files only where they differ."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .evidence import FORMAT, ReportError

_NAME = re.compile(r"[A-Za-z0-9_\[(:][A-Za-z0-9_.:@\[\]()-]{0,250}")


def write(path: Path, content: bytes) -> bool:
    """Replace ``path`` by ``content``, whole or not at all. Returns whether it differed. Raises ReportError."""
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        temporary.write_bytes(content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise ReportError(f"'{path}' cannot be written: {error.strerror}.") from error
    return True


def from_answer(answer: Any, host: str, policy: str) -> dict[str, Any]:
    """Evidence out of the registered result of ``bulkhead.fleet.probe``; without one, evidence that says why."""
    found = answer if isinstance(answer, Mapping) else {}
    evidence = found.get("evidence")
    if isinstance(evidence, Mapping):
        return {**evidence, "host": host}
    why = "the host was not asked"
    if found.get("unreachable"):
        why = "the host could not be reached"
    elif found:
        why = str(found.get("msg") or "the host gave no evidence")
    return {"format": FORMAT, "host": host, "policy": policy, "missing": why}


def store(folder: Path, policy: str, answers: Mapping[str, Any], hosts: Sequence[str]) -> bool:
    """Write ``<folder>/<policy>/<host>.json`` for each host. Returns whether anything differed."""
    changed = False
    for name in (policy, *hosts):
        if not _NAME.fullmatch(name):
            raise ReportError(f"'{name}' cannot name an evidence file.")
    for host in hosts:
        data = from_answer(answers.get(host), host, policy)
        text = json.dumps(data, indent=1, sort_keys=True) + "\n"
        changed = write(folder / policy / f"{host}.json", text.encode()) or changed
    return changed
