# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import readback, readback_facts
from ansible_collections.bulkhead.fleet.plugins.module_utils.command import Completed
from ansible_collections.bulkhead.fleet.plugins.module_utils.readback_facts import (
    Facts,
    covering,
    parse_mounts,
    refused_packets,
    refusing_chains,
)
from ansible_collections.bulkhead.fleet.plugins.module_utils.units import parse_show

MOUNTS = """1 2 8:1 / / ro,nosuid,noexec,relatime shared:1 - ext4 /dev/vda rw
3 1 0:5 / /usr/lib ro,nosuid,relatime - ext4 /dev/vda rw
4 1 0:6 / /with\\040space rw,relatime - tmpfs tmpfs rw
5 1 0:7 / /sealed rw,relatime - squashfs /dev/loop0 ro
6 1 0:8 / /usr/lib rw - tmpfs tmpfs rw
"""
TABLE = {
    "nftables": [
        {"metainfo": {}},
        {"rule": {"chain": "output", "comment": "network.connect", "handle": 4, "expr": [
            {"match": {"left": {"socket": {"key": "cgroupv2"}}, "right": "bulkhead.slice/bulkhead-x.slice"}},
            {"counter": {"packets": 7, "bytes": 1}}, {"goto": {"target": "refuse"}}]}},
        {"rule": {"chain": "refuse", "expr": [{"reject": {"type": "tcp reset"}}]}},
        {"rule": {"chain": "mixed", "expr": [{"accept": None}]}},
        {"rule": {"chain": "mixed", "expr": [{"counter": {"packets": 1, "bytes": 1}}, {"drop": None}]}},
    ]
}  # fmt: skip


class Machine:
    """Answers what systemctl and nft would, and counts the calls."""

    def __init__(self, shown="", table=None):
        self.shown, self.table, self.calls = shown, table, []

    def __call__(self, argv):
        self.calls.append(argv)
        if argv[0] == "systemctl":
            return Completed(0, self.shown, "")
        return Completed(0, json.dumps(self.table), "") if self.table else Completed(1, "", "No such file")


def fact(kind, key, value, relation="equals", unit="x.service"):
    return {"clause": "c", "kind": kind, "key": key, "value": value, "relation": relation, "unit": unit}


@pytest.mark.parametrize(
    ("relation", "got", "want", "ok"),
    [
        ("equals", "0.0.0.0/0 ::/0", "::/0 0.0.0.0/0", True),
        ("equals", "yes", "strict", False),
        ("equals", "", "", True),
        ("contains", "ro nosuid noexec", "noexec", True),
        ("contains", "ro nosuid", "noexec", False),
        ("contains", "add_key2", "add_key", False),
        ("excludes", "read write", "add_key", True),
        ("excludes", "read add_key", "add_key", False),
        ("at_most", "100", "200", True),
        ("at_most", "max", "200", False),
        ("at_most", "many", "200", False),
        ("nonsense", "a", "a", False),
        ("excludes", None, "add_key", False),
    ],
)
def test_relations(relation, got, want, ok):
    assert readback.holds("unit_property", relation, got, want) is ok


@pytest.mark.parametrize(
    ("got", "ok"),
    [
        ("bulkhead.slice/bulkhead-x.slice", True),
        ("4711", False),  # a stale match lists as a number and passes all traffic
        ("bulkhead.slice/bulkhead-x.slice 4711", False),
        ("bulkhead.slice/evilbulkhead-x.slice", False),
        ("", False),
    ],
)
def test_slice_match_wants_every_match(got, ok):
    assert readback.holds("slice_match", "equals", got, "bulkhead-x.slice") is ok


def test_all_units_are_shown_in_one_call():
    machine = Machine(
        "ActiveState=active\nA=1\nMainPID=0\n\nActiveState=active\nA=2\nB=two words\nMainPID=0\n", TABLE
    )
    found = readback.evaluate(
        [
            fact("unit_property", "A", "2"),
            fact("unit_property", "B", "words two"),
            fact("unit_state", "net.service", "active"),
            fact("nft_rule", "bulkhead_x", "network.connect"),
            fact("nft_rule", "bulkhead_x", "network.listen"),
            fact("slice_match", "bulkhead_x", "bulkhead.slice/bulkhead-x.slice"),
            fact("unit_property", "Missing", "x"),
            fact("from_the_future", "x", "x"),
        ],
        Facts(machine),
        "x.service",
    )
    assert [item["ok"] for item in found] == [True, True, True, True, False, True, False, False]
    assert found[6]["got"] == "(not there)"
    assert found[7]["got"] == "this version knows no such read-back"
    assert machine.calls[0] == [
        "systemctl", "show", "-p", "A,ActiveState,B,ControlGroup,MainPID,Missing", "--", "net.service", "x.service",
    ]  # fmt: skip
    assert len(machine.calls) == 2
    assert machine.calls[1] == ["nft", "-j", "list", "table", "inet", "bulkhead_x"]


def test_a_table_that_is_gone_holds_nothing():
    found = readback.evaluate(
        [fact("nft_rule", "inet gone", "x"), fact("slice_match", "gone", "x")], Facts(Machine()), "x"
    )
    assert [(item["got"], item["ok"]) for item in found] == [("(not there)", False)] * 2


def test_show_joins_repeated_properties():
    assert parse_show("A=1\nA=2\nB=\n\nA=3\n", ["u", "v"]) == {"u": {"A": "1 2", "B": ""}, "v": {"A": "3"}}


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/etc/passwd", ["ro", "nosuid", "noexec", "relatime"]),
        ("/usr/lib/x", ["rw"]),  # the last of several mounts on one point counts
        ("/usr/library", ["ro", "nosuid", "noexec", "relatime"]),
        ("/with space/x", ["rw", "relatime"]),
        ("/sealed", ["ro", "relatime"]),
    ],
)
def test_covering_mount(path, options):
    assert covering(parse_mounts(MOUNTS), path)[1] == options


def test_refusals_count_through_goto_and_not_through_chains_that_also_accept():
    rules = [entry["rule"] for entry in TABLE["nftables"] if "rule" in entry]
    chains = refusing_chains(rules)
    assert chains == {"refuse"}
    assert [refused_packets(rule, chains) for rule in rules] == [7, None, None, 1]
    assert Facts(Machine(table=TABLE)).refusals(["bulkhead_x"]) == {
        "network.connect (handle 4)": 7,
        "rule (handle 3)": 1,
    }
    assert Facts(Machine()).refusals(["gone"]) is None


@pytest.mark.parametrize(
    ("main", "listed", "want"), [("7", "9\n8\n", 7), ("0", "9\n8\n", 8), ("0", "", 0), ("", "", 0)]
)
def test_a_unit_without_a_main_process_is_read_by_its_first(
    tmp_path, monkeypatch, main: str, listed: str, want: int
) -> None:
    (tmp_path / "sysv").mkdir()
    (tmp_path / "sysv/cgroup.procs").write_text(listed)
    monkeypatch.setattr(readback_facts, "CGROUP", str(tmp_path))
    shown = f"MainPID={main}\nControlGroup=/sysv\nActiveState=active\n"
    facts = Facts(run=lambda _argv: Completed(0, shown, ""))
    assert facts.main_pid("sysv.service") == want


def test_files_and_processes_of_a_unit_on_cgroup_v1(tmp_path, monkeypatch) -> None:
    for folder, file, text in (
        ("memory/system.slice/x.service", "memory.limit_in_bytes", "4096\n"),
        ("systemd/system.slice/x.service", "cgroup.procs", "9\n8\n"),
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / file).write_text(text)
    monkeypatch.setattr(readback_facts, "CGROUP", str(tmp_path))
    shown = "MainPID=0\nControlGroup=/system.slice/x.service\nActiveState=active\n"
    facts = Facts(run=lambda _argv: Completed(0, shown, ""))
    assert facts.cgroup_file("x.service", "legacy:memory/memory.limit_in_bytes") == "4096"
    assert facts.cgroup_file("x.service", "legacy:pids/pids.max") is None
    assert facts.cgroup_file("x.service", "memory.max") is None
    assert facts.main_pid("x.service") == 8
