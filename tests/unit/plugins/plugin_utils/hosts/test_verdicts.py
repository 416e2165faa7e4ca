# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date
from typing import Any

import yaml

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import verdicts

TODAY = date(2026, 11, 24)


def bundle(*pairs: tuple[str, str, str]) -> dict[str, Any]:
    rows = [{"clause": c, "status": s, "mechanisms": [], "detail": d} for c, s, d in pairs]
    return {"policy": "web", "os": "linux", "verdicts": rows}


def test_nothing_to_object_to() -> None:
    found = bundle(("memory.limit", "enforced", ""), ("ipc.dbus", "waived", "x"))
    assert verdicts.objection(found, ["enforced", "partial", "waived"], "h1", TODAY) == ""


def test_a_refusal_tells_the_reason_and_the_waiver_to_write() -> None:
    clause = 'network.connect["api": tcp/443]'
    text = verdicts.objection(bundle((clause, "refused", "no host names")), ["enforced"], "h1", TODAY)
    assert text.splitlines()[0] == (
        "policy 'web' is refused for h1, nothing was changed: 1 clause cannot be enforced as written."
    )
    assert text.splitlines()[1] == f"  {clause} is refused: no host names"
    waiver = yaml.safe_load(text[text.index("  waivers:") :])["waivers"][0]
    assert waiver["clause"] == clause
    assert waiver[True] == "linux"  # YAML 1.1 reads the key on as true
    assert waiver["until"] == date(2027, 2, 22)


def test_partial_is_refused_where_it_is_not_accepted() -> None:
    found = bundle(("filesystem.read", "partial", "root reads it"), ("devices", "enforced", ""))
    assert verdicts.objection(found, ["enforced", "partial"], "h1", TODAY) == ""
    assert "filesystem.read is partial: root reads it" in verdicts.objection(found, ["enforced"], "h1", TODAY)


def test_a_long_list_is_cut_and_counted() -> None:
    found = bundle(*((f"c{number}", "refused", "") for number in range(25)))
    text = verdicts.objection(found, [], "h1", TODAY)
    assert "... and 5 more." in text and "25 clauses" in text and "c20" not in text


def test_by_clause() -> None:
    found = verdicts.by_clause(bundle(("devices", "enforced", "d")))
    assert found == {"devices": {"status": "enforced", "mechanisms": [], "detail": "d"}}
