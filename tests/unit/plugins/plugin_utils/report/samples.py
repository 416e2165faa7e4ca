# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence and a journal for the tests of the report; the hostile one tries to get out of every format."""

from __future__ import annotations

from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record

HOSTILE = "</script><script>alert('x')</script>\"'><img src=x onerror=alert(1)>&\x01\x0b\u202e"


def clause(name: str = "filesystem.write", outcome: str = "enforced", **more: Any) -> dict[str, Any]:
    readback = {"kind": "unit_property", "key": "ProtectSystem", "unit": "x.service", "relation": "equals",
                "want": "strict", "got": "strict", "ok": True}  # fmt: skip
    probe = {"id": "p", "action": "write", "target": "/etc", "expect": "deny", "got": "deny", "ok": True,
             "control": "the same act outside: done", "why": "no reason", "note": "inside: EROFS"}  # fmt: skip
    return {
        "clause": name, "status": "enforced", "outcome": outcome, "proven": True, "by": ["probe", "readback"],
        "mechanisms": ["ProtectSystem"], "detail": "", "failures": [], "unsure": [], "readbacks": [readback],
        "probes": [probe], **more,
    }  # fmt: skip


def host(name: str = "h1", *clauses: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "format": 1, "host": name, "policy": "nginx", "version": "1.0.0", "mode": "enforce", "digest": "ab" * 32,
        "unit": "nginx.service", "features_name": "Debian GNU/Linux 12 (bookworm), systemd 252",
        "time": "2026-11-24T10:00:00Z", "method": "reload", "openings": ["ExecPaths=/usr/bin/python3"],
        "troubles": [], "clauses": list(clauses) or [clause()], **more,
    }  # fmt: skip


def hostile() -> dict[str, Any]:
    """Every text is hostile; what the format fixes is kept."""
    fixed = ("outcome", "proven", "ok", "format", "policy")

    def poison(value: Any, key: str = "") -> Any:
        if key in fixed:
            return value
        if isinstance(value, dict):
            return {name: poison(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [poison(item) for item in value]
        return HOSTILE if isinstance(value, str) else value

    return poison(
        host("h", clause(failures=["x"], unsure=["y"], detail="d", outcome="failed"), troubles=["t"])
    )


def journal(*steps: tuple[int, str, str, str, str]) -> list[Record]:
    """Records from (second, phase, outcome, wave, host)."""
    return [
        Record(phase, outcome, "nginx-e0001", 1, wave, name, "a" * 64, "b" * 64, "said", seq=number,
               time=f"2026-11-24T09:{second // 60:02d}:{second % 60:02d}.000Z")
        for number, (second, phase, outcome, wave, name) in enumerate(steps, 1)
    ]  # fmt: skip
