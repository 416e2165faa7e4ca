# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of the sources one by one: whose word counts, and what is no line at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_sources

BOOT = "b" * 32
AVC = 'apparmor="DENIED" operation="open" profile="bulkhead.web" name="/etc/x" denied_mask="r"'
KERNEL = {
    "_TRANSPORT": "kernel",
    "SYSLOG_FACILITY": "0",
    "_SOURCE_MONOTONIC_TIMESTAMP": "5000",
    "MESSAGE": f"audit: type=1400 audit(1764410000.250:7): {AVC}",
}
AUDIT = {
    "_TRANSPORT": "audit",
    "SYSLOG_FACILITY": "4",
    "_AUDIT_TYPE": "1400",
    "_AUDIT_ID": "7",
    "MESSAGE": f"AVC {AVC}",
}


def taken(entry: dict[str, Any], **changes: Any) -> denials_sources.Line | None:
    """What the journal's reader makes of an entry."""
    common = {"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1764410000250000", "_BOOT_ID": BOOT}
    raw = json.dumps({**common, **entry, **changes}).encode()
    return denials_sources.Journal("web.service")._line(raw)


def test_the_kernels_lines_are_taken_by_either_way() -> None:
    for entry in (KERNEL, AUDIT):
        line = taken(entry)
        assert line is not None and line.audit is not None
        assert (line.audit.kind, line.audit.serial, line.audit.fields["name"]) == ("1400", 7, "/etc/x")


@pytest.mark.parametrize("facility", ["1", "3", "23", "", None])
def test_what_a_process_wrote_to_dev_kmsg_is_not_the_kernels(facility: str | None) -> None:
    assert taken(KERNEL, SYSLOG_FACILITY=facility) is None
    packet = "bulkhead web network.connect: IN= OUT=eth0 DST=203.0.113.66 PROTO=TCP DPT=443"
    assert taken(KERNEL, MESSAGE=packet, SYSLOG_FACILITY=facility) is None
    assert denials_sources.ring_line(f"14,339,5000,-;{KERNEL['MESSAGE']}", BOOT, 0) is None


def test_journalctl_itself_leaves_out_what_is_not_the_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "journalctl"
    program.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/asked\n')
    program.chmod(0o755)
    monkeypatch.setattr(denials_sources, "PATH", f"{tmp_path}:/usr/bin:/bin")
    assert list(denials_sources.Journal("web.service")) == []
    asked = (tmp_path / "asked").read_text()
    assert "_TRANSPORT=audit + _TRANSPORT=kernel SYSLOG_FACILITY=0 + MESSAGE_ID=" in asked
    assert ",SYSLOG_FACILITY " in asked


@pytest.mark.parametrize("kind", ["1005", "1107", "1199", "2100", None])
def test_an_audit_record_that_a_program_sent_is_none_of_ours(kind: str | None) -> None:
    assert taken(AUDIT, _AUDIT_TYPE=kind) is None


def test_a_record_that_another_line_quotes_is_none() -> None:
    line = taken(KERNEL, MESSAGE=f"usb 1-1: Product: {KERNEL['MESSAGE']}")
    assert line is not None and line.audit is None


@pytest.mark.parametrize(
    "entry",
    [
        {**KERNEL, "MESSAGE": f"audit: type=1400 audit({'9' * 5000}.000:1): {AVC}"},
        {**KERNEL, "MESSAGE": f"audit: type=1400 audit(999999999999.000:1): {AVC}"},
        {**KERNEL, "MESSAGE": f"audit: type=1400 audit(1764410000.000:4294967296): {AVC}"},
        {**KERNEL, "MESSAGE": f"audit: type=1400 audit(\u00b2.000:1): {AVC}"},
        {**KERNEL, "_SOURCE_MONOTONIC_TIMESTAMP": "x"},
        {**KERNEL, "_SOURCE_MONOTONIC_TIMESTAMP": "9" * 5000},
        {**KERNEL, "__REALTIME_TIMESTAMP": "9" * 5000},
        {**KERNEL, "MESSAGE": ["a"]},
        {**KERNEL, "MESSAGE": [300]},
        {**AUDIT, "_AUDIT_ID": "x"},
        {**AUDIT, "_AUDIT_ID": None},
        {**AUDIT, "_SOURCE_REALTIME_TIMESTAMP": "-1"},
    ],
)
def test_a_line_with_an_absurd_number_is_told_as_unreadable(entry: dict[str, Any]) -> None:
    line = taken(entry)
    assert line is not None
    assert line.audit is None and line.text is None


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"[]", b"5", b"null"])
def test_what_is_no_entry_is_told_as_unreadable(raw: bytes) -> None:
    line = denials_sources.Journal("web.service")._line(raw)
    assert line is not None
    assert line.text is None


@pytest.mark.parametrize("message", [None, {}, 5])
def test_a_message_that_is_no_text_is_an_empty_one(message: object) -> None:
    line = taken(KERNEL, MESSAGE=message)
    assert line is not None and line.text == ""


@pytest.mark.parametrize(
    "raw",
    [
        f"6,1,5,-;audit: type=1400 audit({'9' * 900}.000:1): {AVC}",
        f"6,1,x,-;{KERNEL['MESSAGE']}",
        f"6,1,{'9' * 5000},-;{KERNEL['MESSAGE']}",
    ],
)
def test_a_line_of_the_ring_with_an_absurd_number_is_unreadable(raw: str) -> None:
    line = denials_sources.ring_line(raw, BOOT, 0)
    assert line is not None
    assert line.audit is None and line.text is None


def test_a_line_of_the_ring_with_another_scripts_digit_is_nobodys() -> None:
    assert denials_sources.ring_line(f"\u00b2,1,5,-;{KERNEL['MESSAGE']}", BOOT, 0) is None


def test_auditds_file_is_read_past_what_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(
        f"type=AVC msg=audit({'9' * 5000}.000:1): {AVC}\n"
        f"type=USER_AVC msg=audit(1764410000.000:2): msg='type=AVC msg=audit(1764410000.000:3): {AVC}'\n"
        f"node=web1 type=AVC msg=audit(1764410000.000:4): {AVC}\n"
    )
    first, second = denials_sources.audit_lines(str(path), path.stat().st_size)
    assert first.text is None and first.audit is None
    assert second.audit.serial == 4
