# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host is judged by its own files and by systemd: what a tool says of itself counts for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from converge_hosts import parse, wrong
from converge_job import File, Job

ONE = File("/etc/one", "0644", b"one\n")
COPY = File("/var/lib/bench/files/0", "0600", b"one\n")
JOB = Job("d" * 64, (ONE,), (COPY,))
BARE: dict[str, Any] = {
    "sums": {}, "times": {}, "left": [], "tables": [], "active": "", "ActiveState": "active", "http": "200",
    "NeedDaemonReload": "no", "InvocationID": "1", "Slice": "system.slice",
}  # fmt: skip
DONE = BARE | {
    "sums": {ONE.path: ONE.sum}, "times": {ONE.path: "1.5"}, "tables": ["table inet bulkhead_nginx"],
    "active": "d" * 64, "InvocationID": "2", "Slice": "bulkhead-nginx.slice", "left": ["/var/lib/bulkhead"],
}  # fmt: skip


def test_what_a_host_says_is_read() -> None:
    text = (
        f"sum {ONE.sum}  /etc/one\ntime /etc/one 1764381000.5\nMainPID 7\nInvocationID 1\nhttp 200\n"
        "nft table inet bulkhead_nginx\nactive abc\nleft /var/lib/bulkhead\n"
    )
    assert parse(text) == {
        "sums": {"/etc/one": ONE.sum}, "times": {"/etc/one": "1764381000.5"}, "left": ["/var/lib/bulkhead"],
        "tables": ["table inet bulkhead_nginx"], "active": "abc", "MainPID": "7", "InvocationID": "1", "http": "200",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("act", "before", "after", "said"),
    [
        ("first", BARE, DONE, []),
        ("no_change", DONE, DONE, []),
        ("rollback", DONE, BARE, []),
        ("first", BARE, DONE | {"InvocationID": "1"}, ["nginx was not restarted"]),
        ("first", BARE, DONE | {"sums": {ONE.path: "0" * 64}}, ["its files are not those of the job"]),
        ("first", BARE, DONE | {"tables": []}, ["rules or slice are not there"]),
        ("first", BARE, DONE | {"active": ""}, ["the generation is not active and confirmed"]),
        (
            "first",
            BARE,
            DONE | {"left": ["/var/lib/bulkhead/nginx/pending.json"]},
            ["the generation is not active and confirmed"],
        ),
        ("first", BARE, DONE | {"http": "403"}, ["nginx is active, its page 403"]),
        ("first", BARE, DONE | {"NeedDaemonReload": "yes"}, ["systemd has not read its units again"]),
        ("no_change", DONE, DONE | {"InvocationID": "3"}, ["nginx was restarted"]),
        ("no_change", DONE, DONE | {"times": {ONE.path: "2.5"}}, ["files were written again"]),
        (
            "rollback",
            DONE,
            BARE | {"left": ["/var/lib/bulkhead"]},
            ["something stayed: ['/var/lib/bulkhead'] system.slice"],
        ),
    ],
)
def test_what_is_wrong_is_said(act: str, before: Any, after: Any, said: list[str]) -> None:
    assert wrong(act, "ours", before, after, JOB) == said


def test_others_keep_the_copies_too() -> None:
    assert wrong("first", "role", BARE, DONE, JOB) == ["its files are not those of the job"]
    sums = {one.path: one.sum for one in JOB.files}
    assert wrong("first", "role", BARE, DONE | {"sums": sums}, JOB) == []
