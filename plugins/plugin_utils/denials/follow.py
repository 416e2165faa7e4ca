# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Denials as events: what each host had since it was asked last."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_KEPT = ("clause", "act", "mechanism", "enforced", "count", "first", "last", "fingerprint")


def events(
    policy: str, answers: Mapping[str, Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """(events, {host: why it gave no answer}) out of the hosts' results of ``denials_info``."""
    found: list[dict[str, Any]] = []
    silent = {}
    for host, answer in sorted(answers.items()):
        if "denials" not in answer:
            silent[host] = " ".join(str(answer.get("msg") or "it was not asked").split())[:200]
            continue
        for row in answer["denials"]:
            event = {key: row.get(key) for key in _KEPT}
            change = (row.get("proposal") or {}).get("yaml") or ""
            found.append({"policy": policy, "host": host, **event, "change": change})
    return found, silent


def remember(folder: Path, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """A file for each host with its cursor; one that gave no answer keeps the old one."""
    for host, answer in answers.items():
        if answer.get("cursor"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = folder / f"{host.replace('/', '_')}.cursor"
            temporary = path.with_suffix(".new")
            temporary.write_text(str(answer["cursor"]), "utf-8")
            temporary.replace(path)
