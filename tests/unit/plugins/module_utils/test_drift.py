# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clauses stand behind what differs. On hosts: tests/lab/test_drift.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from host_fixtures import data, state_below

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    bundles,
    drift,
    drift_lines,
    drift_tables,
    plan,
    readback_facts,
    store,
    units,
)

DROPIN = "/etc/systemd/system/web.service.d/zz-bulkhead.conf"
RULES = "/etc/bulkhead/nft/web.nft"
TEXT = "# head\n[Service]\nLimitCORE=0\nReadWritePaths=\nReadWritePaths=-/a\nTasksMax=5\n"
NFT = """table inet bulkhead_web {
	chain allow {
		tcp dport 80 accept comment "network.listen[tcp/80]"
		counter drop comment "network.listen"
	}
	chain input {
		socket cgroupv2 level 2 "bulkhead.slice/bulkhead-web.slice" goto allow
	}
}
"""
LINES = {
    DROPIN: [
        [3, "memory.core_dumps"],
        [4, "filesystem.write"],
        [5, "filesystem.write[/a]"],
        [6, "processes.max"],
    ],
    RULES: [[3, "network.listen[tcp/80]"], [4, "network.listen"], [7, "network.listen"]],
    "/etc/systemd/system/bulkhead-web.slice": [[1, "network.listen"]],
}


def bundle(**changes: Any) -> bundles.Bundle:
    found = data(lines=LINES)
    found["artifacts"][0]["content"] = TEXT
    found["artifacts"][2]["content"] = NFT
    found.update(changes)
    return bundles.build({**found, "digest": bundles.digest(found)})


def dropin(text: str | None) -> list[str]:
    made = bundle()
    return drift_lines.of_content(made, made.artifacts[0], None if text is None else text.encode())


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        (TEXT, []),
        (TEXT.replace("TasksMax=5", "TasksMax=500"), ["processes.max"]),
        (TEXT.replace("LimitCORE=0\n", ""), ["memory.core_dumps"]),
        (TEXT + "ReadWritePaths=/\n", ["filesystem.write", "filesystem.write[/a]"]),
        (TEXT + "# by hand\n\n", []),
        (
            TEXT + "User=root\n",
            ["filesystem.write", "filesystem.write[/a]", "memory.core_dumps", "processes.max"],
        ),
        (None, ["filesystem.write", "filesystem.write[/a]", "memory.core_dumps", "processes.max"]),
    ],
)
def test_lines_that_differ_name_their_clauses(text: str | None, clauses: list[str]) -> None:
    assert dropin(text) == clauses


def tables(monkeypatch: pytest.MonkeyPatch, there: str | None) -> tuple[str, list[str]]:
    monkeypatch.setattr(drift_tables, "listed", lambda family, name: there)
    monkeypatch.setattr(drift_tables, "wanted", lambda item, family, name: NFT)
    made = bundle()
    (declared,) = drift_tables.declared(made)
    return drift_tables.difference(made, *declared, {})


def test_rules_that_differ_name_their_clauses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tables(monkeypatch, NFT) == ("", [])
    both = ["network.listen", "network.listen[tcp/80]"]
    assert tables(monkeypatch, None) == ("nftables table is gone", both)
    wrong = "its rules are not those of the policy"
    gone = NFT.replace('\t\ttcp dport 80 accept comment "network.listen[tcp/80]"\n', "")
    assert tables(monkeypatch, gone) == (wrong, ["network.listen[tcp/80]"])
    more = NFT.replace("\t\tcounter drop", "\t\taccept\n\t\tcounter drop")
    assert tables(monkeypatch, more) == (wrong, ["network.listen"])
    stale = NFT.replace('"bulkhead.slice/bulkhead-web.slice"', "4711")
    assert tables(monkeypatch, stale) == (
        "its match on the slice is stale: it matches nothing",
        ["network.listen"],
    )


def test_a_listing_is_remembered_for_these_rules_and_this_nft_only(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bundle()
    item, family, name = drift_tables.declared(made)[0]
    asked = []
    monkeypatch.setattr(drift_tables, "listed", lambda family, name: NFT)
    monkeypatch.setattr(drift_tables, "wanted", lambda *words: asked.append(words) or NFT)
    kept = {"tables": {"inet bulkhead_web": [drift_tables.key(item), NFT]}}
    assert drift_tables.difference(made, item, family, name, kept) == ("", []) and asked == []
    old = {"tables": {"inet bulkhead_web": ["another nft", "old text"]}}
    assert drift_tables.difference(made, item, family, name, old) == ("", []) and len(asked) == 1
    assert drift_tables.remember(made, kept) == kept["tables"] and len(asked) == 1
    assert drift_tables.remember(made, {}) == kept["tables"] and len(asked) == 2


@pytest.mark.parametrize(
    ("began", "seen", "expected"),
    [
        ("5", {"switched": 10}, True),
        ("15", {"switched": 10}, False),
        ("0", {"switched": 10}, False),
        ("", {"switched": 10}, False),
        ("5", {}, False),
        ("5", {"switched": 10, "boot_id": "another boot"}, False),
    ],
)
def test_a_process_older_than_its_files(began: str, seen: dict[str, Any], expected: bool) -> None:
    facts = {"ExecMainStartTimestampMonotonic": began}
    assert drift.older(facts, {"boot_id": store.boot_id(), **seen}) is expected


READBACKS = [
    {
        "clause": "processes.max",
        "kind": "unit_property",
        "key": "TasksMax",
        "value": "5",
        "unit": "",
        "relation": "equals",
    }
]


def shown(tasks: str, **more: str) -> dict[str, dict[str, str]]:
    return {"web.service": {"ActiveState": "active", "MainPID": "0", "TasksMax": tasks, **more}}


def test_a_property_that_is_not_the_files_names_its_clause_and_restarts() -> None:
    made = bundle(readbacks=READBACKS)
    (found,) = drift.of_process(made, shown("500"), {})
    assert found["clauses"] == ["processes.max"] and found["repair"] == "restart"
    assert found["why"] == "TasksMax is 500, not 5"
    assert drift.of_process(made, shown("5"), {}) == []
    # What a restart did not put right is still told, and restarts nothing again.
    (found,) = drift.of_process(made, shown("500"), {"unread": [["unit_property", "TasksMax"]]})
    assert found["repair"] == ""
    assert drift.of_process(made, shown("500"), {}, opened=["processes.max"]) == []
    assert drift.of_process(made, shown("500", ActiveState="inactive"), {}) == []


def test_without_a_main_process_it_is_the_one_in_the_control_group_that_is_compared(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As verify does it: a service of System V names no main process."""
    privileges = {
        "clause": "identity.privileges",
        "kind": "process_status",
        "key": "NoNewPrivs",
        "value": "1",
    }
    made = bundle(readbacks=[{**privileges, "unit": "", "relation": "equals"}])
    for name, text in {"cg/web/cgroup.procs": "77\n", "proc/77/status": "NoNewPrivs:\t0\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(readback_facts, "CGROUP", str(tmp_path / "cg"))
    monkeypatch.setattr(readback_facts, "PROC", str(tmp_path / "proc"))
    facts = {"ActiveState": "active", "MainPID": "0", "ControlGroup": "/web"}
    (found,) = drift.of_process(made, {"web.service": facts}, {})
    assert found["why"] == "NoNewPrivs is 0, not 1"
    # What it runs before its program, systemd may have left outside; what was stopped is no drift.
    for state in ("activating", "inactive"):
        assert drift.of_process(made, {"web.service": {**facts, "ActiveState": state}}, {}) == []
    (tmp_path / "cg/web/cgroup.procs").write_text("")
    assert drift.of_process(made, {"web.service": facts}, {}) == []


def test_a_limit_that_was_raised_on_the_process_is_told_and_restarts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = {"Max open files": "4096"}
    monkeypatch.setattr(readback_facts.Facts, "status", lambda self, pid: {"CapBnd": "0"})
    monkeypatch.setattr(readback_facts.Facts, "hard_limit", lambda self, pid, name: held.get(name))
    files_limit = {**READBACKS[0], "clause": "files.max_open", "key": "LimitNOFILE", "value": "1024"}
    made = bundle(readbacks=[files_limit])
    facts = {"web.service": {"ActiveState": "active", "MainPID": "7", "LimitNOFILE": "1024"}}
    (found,) = drift.of_process(made, facts, {})
    assert found["why"] == "Max open files is 4096, not 1024" and found["clauses"] == ["files.max_open"]
    assert found["repair"] == "restart" and drift.unread(made, facts) == [("process_limit", "Max open files")]
    held["Max open files"] = "64"  # a process may lower its own
    assert drift.of_process(made, facts, {}) == [] and drift.unread(made, facts) == []


def test_a_look_asks_systemd_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[list[str], list[str]]] = []

    def show(names: list[str], extra: list[str]) -> dict[str, dict[str, str]]:
        asked.append((names, extra))
        return {name: {"ActiveState": "active", "MainPID": "0"} for name in names}

    monkeypatch.setattr(units, "show", show)
    monkeypatch.setattr(drift, "of_tables", lambda bundle, seen: [])
    drift.find(bundle(), state_below(monkeypatch, tmp_path))
    ((names, extra),) = asked
    assert "bulkhead.slice" in names and "DropInPaths" in extra


def test_features_that_changed_name_the_clauses_of_their_mechanism(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = state_below(monkeypatch, tmp_path)
    made = bundle(
        verdicts=[
            {"clause": "network.listen", "mechanisms": ["nftables input chain by slice"]},
            {"clause": "processes.max", "mechanisms": ["systemd TasksMax"]},
        ]
    )
    then = {"nft": {"version": "1.0.6"}, "kernel": "6.1"}
    place.stage(made)
    assert drift.of_features(made, place, then) == []
    drift.remember(place, made.digest, then)
    assert drift.of_features(made, place, then) == []
    found = drift.of_features(made, place, {"nft": {"version": "1.1.3"}, "kernel": "6.12"})
    assert [(item["why"], item["clauses"], item["repair"]) for item in found] == [
        ('kernel was "6.1" and is "6.12"', ["processes.max"], "recompile"),
        ('nft.version was "1.0.6" and is "1.1.3"', ["network.listen"], "recompile"),
    ]


def test_the_next_apply_restarts_what_is_stale_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = bundle(artifacts=[], units=[], readbacks=READBACKS)
    monkeypatch.setattr(units, "show", lambda names, extra=(): shown("500"))
    planned = plan.make(made, made)
    assert planned.restart == ["web.service"] and planned.reread and not plan.empty(planned)
    assert planned.reasons == ["web.service: TasksMax is 500, not 5"]
    assert plan.empty(plan.make(made, made, restart=False))
    assert plan.empty(plan.make(made, made, seen={"unread": [["unit_property", "TasksMax"]]}))


def test_units_that_systemd_has_to_read_again_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bundle(artifacts=[], units=[])
    monkeypatch.setattr(units, "show", lambda names, extra=(): shown("5", NeedDaemonReload="yes"))
    planned = plan.make(made, made)
    assert planned.reread and planned.restart == []
    assert planned.reasons == ["web.service: systemd has not read its files again"]


def test_who_owns_a_table_is_no_drift_of_its_rules() -> None:
    """The kernel lists the owner and its program; aside the same rules are loaded as nobody's."""
    written = "table inet t { flags owner; }\ndelete table inet t\ntable inet t {\n\tflags owner\n\tchain c {\n\t}\n}\n"
    held = "table inet t { # progname nft\n\tflags owner\n\n\tchain c {\n\t}\n}\n"
    aside = "table inet t {\n\tchain c {\n\t}\n}\n"
    assert drift_tables._without_owner(held) == drift_tables._without_owner(aside) == aside
    assert drift_tables._without_owner(written) == "table inet t {}\ndelete table inet t\n" + aside
