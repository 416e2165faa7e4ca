# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole reading of a host, over records that Debian hosts wrote. Programs answer what they printed there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    command,
    denials,
    denials_numbers,
    denials_sources,
    files,
    store,
)
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

RECORDED = Path(__file__).with_name("recorded")
SUITES = sorted(path.name.partition(".")[0] for path in RECORDED.glob("*.kmsg"))
DIGEST = "d" * 64
NOW = 1795700000.0  # some hours after the last record


class Host:
    """A host of one suite: ``unit`` is the unit of the policy ``rec``, ``journal`` the lines that journalctl has."""

    def __init__(self, suite: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.suite, self.folder, self.programs = suite, folder, folder / "bin"
        self.programs.mkdir()
        self.entries = [json.loads(line) for line in self._file("journal.jsonl").read_text().splitlines()]
        for entry in self.entries:
            # The recording did not ask for it. journald gives it to each line: 0 where the kernel itself wrote it.
            entry["SYSLOG_FACILITY"] = "0" if entry["_TRANSPORT"] == "kernel" else "4"
        self.boot = self.entries[0]["_BOOT_ID"]
        self.ring_text = self._file("kmsg").read_text().splitlines()
        self.program("nft", f"cat {self._file('nft.json')}")
        self.journal(self.entries)
        monkeypatch.setattr(command, "PATH", f"{self.programs}:/usr/bin:/bin")
        monkeypatch.setattr(denials_sources, "PATH", f"{self.programs}:/usr/bin:/bin")
        monkeypatch.setattr(store, "BASE", str(folder))
        monkeypatch.setattr(store, "boot_id", lambda: self.boot)
        monkeypatch.setattr(denials_sources, "ring", self.ring)
        monkeypatch.setattr(denials_sources, "audit_files", list)
        monkeypatch.setattr(denials_numbers, "now", lambda: NOW)

    def _file(self, name: str) -> Path:
        return RECORDED / f"{self.suite}.{name}"

    def program(self, name: str, body: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def journal(self, entries: list[dict[str, Any]]) -> None:
        """What journalctl gives: with --after-cursor what stands behind it. systemd's messages are of one unit."""
        text = self.folder / "journal"
        text.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        self.program(
            "journalctl",
            'for word; do case "$word" in --after-cursor=*) after="${word#*=}";; UNIT=*) unit="${word#*=}";; esac\n'
            "done\n"
            f'awk -v c="$after" -v u="$unit" \'(!/"journal"/ || index($0, u)) && (c == "" || seen) {{print}} '
            f"index($0, c) {{seen = 1}}' {text}",
        )

    def ring(self, boot: str) -> list[denials_sources.Line]:
        lines = [denials_sources.ring_line(raw + "\n", boot, 1795641388.0) for raw in self.ring_text]
        return [line for line in lines if line is not None]

    def read(
        self, unit: str, uid: int = 0, cursor: str = "", limit: int = 5000, mode: str = "enforce"
    ) -> dict[str, Any]:
        table = {
            "path": "/etc/bulkhead/nft/rec.nft", "kind": "nftables", "mode": "0644", "owner": "root", "group": "root",
            "unit": "bulkhead-net-rec.service", "content": "table inet bulkhead_rec {\n}\n",
        }  # fmt: skip
        bundle = {
            "policy": "rec", "version": "1.0.0", "mode": mode, "digest": DIGEST, "workload": {"unit": unit},
            "artifacts": [table], "units": [], "health": [], "readbacks": [], "probes": [],
            "verdicts": [{"clause": "files.max_open", "mechanisms": ["systemd LimitNOFILE"]}],
        }  # fmt: skip
        generation = self.folder / "rec/generations" / DIGEST
        generation.mkdir(parents=True, exist_ok=True)
        text = json.dumps(bundle)
        (generation / "bundle.json").write_text(text)
        (generation / "sums").write_text(f"{files.sha256(text.encode())}  bundle.json\n")
        (self.folder / "rec/active").write_text(DIGEST + "\n")
        self.program(
            "systemctl", f"printf 'MainPID=0\\nUID={uid}\\nSystemCallFilter=read write\\nInvocationID=i\\n'"
        )
        return denials.read("rec", cursor, limit)


@pytest.fixture(params=SUITES)
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(request.param, tmp_path, monkeypatch)


def of(answer: dict[str, Any], **facts: Any) -> list[dict[str, Any]]:
    return [row for row in answer["denials"] if all(row.get(name) == value for name, value in facts.items())]


def test_apparmor_is_read_by_the_policys_profile(host: Host) -> None:
    answer = host.read("exam-rec-aa.service")
    found = {(row["act"], row.get("path") or row.get("family")) for row in of(answer, mechanism="apparmor")}
    assert {
        ("read", "/etc/fstab"),
        ("read", "/etc/shadow"),
        ("read", "/etc/apt/"),
        ("write", "/etc/a file"),
        ("write", "/etc/new/"),
        ("write", "/etc/fstab"),
        ("write", "/tmp/"),
        ("socket", "netlink"),
        ("socket", "inet"),
    } <= found
    (made,) = of(answer, path="/etc/a file")
    assert made["creates"] and made["enforced"] and made["attribution"] == "profile"
    assert made["commands"][0].startswith("python3")
    assert of(answer, family="inet")[0]["socket"] == "raw"


def test_calls_are_the_units_by_its_account(host: Host) -> None:
    answer = host.read("exam-rec-sc.service", uid=65534)
    calls = {row["call"] for row in of(answer, mechanism="seccomp")}
    assert {105, 165, 170, 90, 56, 135, 435, 41} <= calls
    assert {row["attribution"] for row in of(answer, mechanism="seccomp")} == {"account"}
    assert {row["action"] for row in of(answer, mechanism="seccomp")} == {"errno"}
    assert answer["calls"] == ["read", "write"]
    assert not of(host.read("exam-rec-sc.service", uid=1000), mechanism="seccomp")
    # root's processes are too many to be told by their account
    assert not of(host.read("exam-rec-sc.service", uid=0), mechanism="seccomp")


def test_packets_have_their_clause_and_peer_and_count_once(host: Host) -> None:
    answer = host.read("exam-rec-net.service")
    found = [
        (row["protocol"], row["address"], row["port"], row["count"])
        for row in of(answer, mechanism="nftables")
    ]
    each = sum("DPT=7777" in line for line in host.ring_text)
    assert each and sorted(found) == [
        ("tcp", "127.0.0.2", 7777, each),
        ("tcp", "::1", 7778, each),
        ("udp", "127.0.0.3", 7779, each),
    ]
    assert {row["label"] for row in of(answer, mechanism="nftables")} == {"network.connect"}


def test_what_the_log_did_not_tell_the_counter_does(host: Host) -> None:
    listing = RECORDED.joinpath(f"{host.suite}.nft.json").read_text()
    (told,) = re.findall(r'"packets": (\d+)', listing)
    host.program("nft", "cat <<'X'\n" + listing.replace(f'"packets": {told}', '"packets": 50') + "X")
    answer = host.read("exam-rec-net.service")
    (rest,) = of(answer, act="packet")
    assert rest["count"] == 50 - int(told) and rest["first"] is None
    again = host.read("exam-rec-net.service", cursor=answer["cursor"])
    assert again["denials"] == []
    host.program("nft", "exit 1")
    assert "table is gone" in " ".join(host.read("exam-rec-net.service")["notes"])


def test_a_unit_that_was_killed_for_its_memory_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = Host("debian13", tmp_path, monkeypatch)
    (row,) = of(host.read("exam-rec-mem.service"), mechanism="cgroup")
    assert (row["act"], row["count"]) == ("memory", 1)
    # Without the kernel's own line systemd's message is what is left.
    host.journal([entry for entry in host.entries if "oom-kill" not in entry["MESSAGE"]])
    host.ring_text = [line for line in host.ring_text if "oom-kill:" not in line]
    (row,) = of(host.read("exam-rec-mem.service"), mechanism="cgroup")
    assert (row["act"], row["count"]) == ("memory", 1)


def test_a_refused_fork_is_the_units_by_its_control_group(host: Host) -> None:
    (row,) = of(host.read("exam-rec-fork.service"), mechanism="cgroup")
    assert (row["act"], row["count"]) == ("processes", 1)
    assert not of(host.read("rec-fork.service"), mechanism="cgroup")


def test_the_cursor_gives_each_record_once(host: Host) -> None:
    whole = host.read("exam-rec-sc.service", uid=65534)
    again = host.read("exam-rec-sc.service", uid=65534, cursor=whole["cursor"])
    assert again["denials"] == [] and again["since"] == "cursor" and not again["truncated"]


def test_calls_with_a_limit_give_all_of_it_piece_by_piece(host: Host) -> None:
    whole = host.read("exam-rec-sc.service", uid=65534)
    cursor, pieces = "", []
    for _turn in range(len(host.entries) + 2):
        answer = host.read("exam-rec-sc.service", uid=65534, cursor=cursor, limit=3)
        pieces += answer["denials"]
        cursor = answer["cursor"]
        if not answer["truncated"]:
            break
    assert not answer["truncated"]
    assert sum(row["count"] for row in pieces) == sum(row["count"] for row in whole["denials"])


def test_the_ring_alone_is_enough(host: Host) -> None:
    whole = host.read("exam-rec-aa.service")
    host.program("journalctl", "exit 1")
    ring = host.read("exam-rec-aa.service")
    lost = {row.get("path") for row in whole["denials"]} - {row.get("path") for row in ring["denials"]}
    # Debian 12 keeps audit records in the journal and has in the ring what its limit let through.
    assert not lost or host.suite == "debian12"
    assert {"source": "kernel ring", "state": "read"} in ring["sources"]


def test_what_programs_chose_is_spelt_out() -> None:
    from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_apparmor, denials_audit

    name = b"/srv/\x1b[2J\nEvil=1".hex().upper()
    text = (
        f'type=AVC msg=audit(1.000:1): apparmor="DENIED" operation="open" profile="bulkhead.rec" name={name}'
        f' comm="x" requested_mask="r" denied_mask="r"\x1dUID="root" name="/other"'
    )
    facts = denials_apparmor.denial("rec", denials_audit.parse(text), "enforce")
    assert facts["path"] == "/srv/\\x1b[2J\\nEvil=1"


@pytest.mark.parametrize(
    ("profile", "mine"),
    [
        ("bulkhead.rec", True),
        ("bulkhead.rec//null-/bin/sh", True),
        ("bulkhead.rec//child", True),
        ("bulkhead.rec-two", False),
        ("bulkhead.re", False),
        ("unconfined", False),
    ],
)
def test_another_policys_profile_is_anothers(profile: str, mine: bool) -> None:
    from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_apparmor

    assert denials_apparmor.owns("rec", profile) is mine


def test_a_policy_that_is_not_there_is_told(host: Host) -> None:
    with pytest.raises(HostError, match="policy other is not applied on this host"):
        denials.read("other")
    with pytest.raises(HostError, match="limit is 0"):
        denials.read("rec", limit=0)


def test_a_cursor_that_the_journal_does_not_take_is_an_error(host: Host) -> None:
    cursor = host.read("exam-rec-aa.service")["cursor"]
    host.program("journalctl", "echo 'Failed to seek to cursor: Invalid argument' >&2; exit 1")
    with pytest.raises(HostError, match="the journal does not take the cursor"):
        host.read("exam-rec-aa.service", cursor=cursor)


def test_a_journal_without_patterns_is_read_whole(host: Host) -> None:
    whole = host.read("exam-rec-aa.service")
    body = (host.programs / "journalctl").read_text().split("\n", 1)[1]
    refuse = "case \"$*\" in *--grep*) echo 'Compiled without pattern matching support' >&2; exit 1;; esac\n"
    host.program("journalctl", refuse + body)
    assert host.read("exam-rec-aa.service")["denials"] == whole["denials"]


def test_clauses_that_leave_no_record_are_told(host: Host) -> None:
    (silent,) = [
        one for one in host.read("exam-rec-aa.service")["unrecorded"] if one["mechanism"] == "limits"
    ]
    assert silent["clauses"] == ["files.max_open"]


@pytest.mark.parametrize(
    ("shown", "logged", "names"),
    [
        ("write read", "~", ["read", "write"]),
        ("", "~write read", ["read", "write"]),  # audit mode
        ("~", "~", None),
        ("~mount", "", None),
        ("", "mount", None),
    ],
)
def test_calls_that_need_no_record_are_the_filters_or_those_of_the_log(
    shown: str, logged: str, names: list[str] | None
) -> None:
    assert denials.calls(shown, logged) == names


def entry(host: Host, serial: int, stamp: float, **changes: Any) -> dict[str, Any]:
    """A record of this boot as the journal has it."""
    return {
        "__CURSOR": f"s=new;i={serial}", "_BOOT_ID": host.boot, "__REALTIME_TIMESTAMP": str(int(stamp * 1e6)),
        "_TRANSPORT": "audit", "SYSLOG_FACILITY": "4", "_AUDIT_TYPE": "1400", "_AUDIT_ID": str(serial),
        "MESSAGE": 'AVC apparmor="DENIED" operation="open" profile="bulkhead.rec" '
        f'name="/new/{serial}" requested_mask="r" denied_mask="r"',
        **changes,
    }  # fmt: skip


def test_a_record_that_cannot_be_read_is_counted_in_a_note_and_moves_nothing(host: Host) -> None:
    clean = host.read("exam-rec-aa.service")
    seccomp = {"_AUDIT_TYPE": "1326", "MESSAGE": "SECCOMP uid=65534 pid=1 syscall=x code=0x50000"}
    host.ring_text += [
        "6,9999,3000000000,-;audit: type=1400 audit(%s.000:1): apparmor=x" % ("9" * 5000),
        "6,9999,x,-;bulkhead rec network.connect: IN= OUT=e",
    ]
    host.journal([*host.entries, entry(host, 1, NOW, _AUDIT_ID="9" * 30), entry(host, 999, NOW, **seccomp)])
    answer = host.read("exam-rec-aa.service", uid=65534)
    assert [row for row in answer["denials"] if row["mechanism"] == "apparmor"] == [
        row for row in clean["denials"] if row["mechanism"] == "apparmor"
    ]
    assert "4 records were left out: a number in them is none that the kernel writes" in answer["notes"]


def test_a_record_of_a_time_to_come_counts_without_it_and_moves_no_cursor(host: Host) -> None:
    host.journal([*host.entries, entry(host, 5000, NOW + 86400)])
    answer = host.read("exam-rec-aa.service")
    (row,) = of(answer, path="/new/5000")
    assert (row["count"], row["first"], row["last"]) == (1, None, None)
    assert "1 records have a time that is still to come: they are counted without it" in answer["notes"]
    host.journal([*host.entries, entry(host, 5000, NOW + 86400), entry(host, 5001, NOW)])
    again = host.read("exam-rec-aa.service", cursor=answer["cursor"])
    assert [row["path"] for row in again["denials"]] == ["/new/5001"]


def test_records_behind_the_cursor_count_when_the_clock_went_back(host: Host) -> None:
    host.journal([*host.entries, entry(host, 5000, NOW)])
    cursor = host.read("exam-rec-aa.service")["cursor"]
    earlier = [entry(host, 5000 + number, NOW - 86400) for number in (1, 2, 3)]
    host.journal([*host.entries, entry(host, 5000, NOW), *earlier])
    again = host.read("exam-rec-aa.service", cursor=cursor)
    assert [row["path"] for row in again["denials"]] == ["/new/5001", "/new/5002", "/new/5003"]
    assert host.read("exam-rec-aa.service", cursor=again["cursor"])["denials"] == []


def test_low_serials_of_a_new_boot_are_new(host: Host) -> None:
    host.journal([*host.entries, entry(host, 5000, NOW)])
    cursor = host.read("exam-rec-aa.service")["cursor"]
    host.ring_text, host.boot = [], "c" * 32
    host.journal([*host.entries, entry(host, 5000, NOW), entry(host, 1, NOW - 86400)])
    again = host.read("exam-rec-aa.service", cursor=cursor)
    assert [row["path"] for row in of(again, mechanism="apparmor")] == ["/new/1"]


AUDITD = (
    'type=AVC msg=audit(%.3f:%d): apparmor="DENIED" operation="open" profile="bulkhead.rec" name="/n/%d"'
    ' denied_mask="r"\n'
)


def auditds_file(host: Host, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Of a host that booted two hours ago, and whose records stand there alone."""
    host.journal([])
    host.ring_text = []
    log = folder / "audit.log"
    monkeypatch.setattr(denials_sources, "audit_files", lambda: [(str(log), log.stat().st_size)])
    monkeypatch.setattr(denials_numbers, "booted", lambda: NOW - 7200)
    return log


def test_auditds_file_gives_each_record_once_over_boots_and_clocks(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = auditds_file(host, monkeypatch, tmp_path)
    earlier_boot = AUDITD % (NOW - 9000, 900, 900)
    log.write_text(earlier_boot + AUDITD % (NOW - 60, 7, 7))
    answer = host.read("exam-rec-aa.service")
    assert {row["path"] for row in of(answer, mechanism="apparmor")} == {"/n/900", "/n/7"}
    log.write_text(log.read_text() + AUDITD % (NOW - 3600, 8, 8))  # the clock went back by an hour
    answer = host.read("exam-rec-aa.service", cursor=answer["cursor"])
    assert [row["path"] for row in answer["denials"]] == ["/n/8"]


def test_serials_of_an_earlier_boot_in_auditds_file_hide_none_of_this_one(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The clock went back after the boot, so the record of the boot before looks like one of this boot.
    log = auditds_file(host, monkeypatch, tmp_path)
    log.write_text(AUDITD % (NOW - 3600, 90000, 90000) + AUDITD % (NOW - 60, 7, 7))
    cursor = host.read("exam-rec-aa.service")["cursor"]
    log.write_text(log.read_text() + AUDITD % (NOW - 30, 8, 8))
    again = host.read("exam-rec-aa.service", cursor=cursor)
    assert "/n/8" in {row["path"] for row in of(again, mechanism="apparmor")}
