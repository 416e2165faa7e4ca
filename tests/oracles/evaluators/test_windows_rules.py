# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluators of Windows on rules that were written by hand."""

from __future__ import annotations

import json

import pytest
from windows_rules import AccessList, AppLocker, Firewall

SID = "S-1-5-80-1"
RULE = (
    '<FilePathRule UserOrGroupSid="{}" Action="{}"><Conditions><FilePathCondition Path="{}"/></Conditions>'
    "{}</FilePathRule>"
)
EXCEPT = r'<Exceptions><FilePathCondition Path="C:\App\app.exe"/><FilePathCondition Path="C:\Tools\*"/></Exceptions>'


def policy(*rules: str, mode: str = "Enabled") -> AppLocker:
    inside = "".join(rules)
    collection = f'<RuleCollection Type="Exe" EnforcementMode="{mode}">{inside}</RuleCollection>'
    return AppLocker(f"<AppLockerPolicy>{collection}</AppLockerPolicy>", SID)


@pytest.mark.parametrize(
    ("path", "runs"),
    [
        (r"C:\App\app.exe", True),
        (r"c:\app\APP.EXE", True),
        (r"C:\Tools\a\b.exe", True),
        (r"C:\Tools\bad\x.exe", False),
        (r"C:\Windows\System32\cmd.exe", False),
    ],
)
def test_applocker(path: str, runs: bool) -> None:
    everyone = RULE.format("S-1-1-0", "Allow", "*", "")
    one = RULE.format(SID, "Deny", "*", EXCEPT)
    bad = RULE.format(SID, "Deny", "C:\\Tools\\bad\\*", "")
    other = RULE.format("S-1-5-80-2", "Deny", "*", "")
    assert policy(everyone, one, bad, other).allows(path) is runs
    assert policy(everyone, one, bad, mode="AuditOnly").allows(path) is True
    assert policy(one).allows(path) is False  # no rule allows it


def access(*entries: tuple[str, str, str], sid: str = "restricted") -> AccessList:
    rows = [{"path": path, "type": kind, "rights": [right]} for path, kind, right in entries]
    return AccessList(json.dumps({"sid": {"type": sid}, "access": rows}))


@pytest.mark.parametrize(
    ("action", "path", "allowed"),
    [
        ("read", r"C:\Elsewhere", True),  # whoever may read it, may
        ("write", r"C:\Elsewhere", False),  # a restricted SID is named nowhere
        ("write", r"D:\Data\x", True),
        ("write", r"d:\data\X", True),
        ("write", r"D:\Database", False),
        ("write", r"D:\Data\static\x", False),  # the nearer entry first
        ("read", r"D:\Data\private", False),
        ("read", r"D:\Data\private\public\x", True),
        ("execute", r"D:\Data\private\x.exe", False),
    ],
)
def test_access(action: str, path: str, allowed: bool) -> None:
    found = access(
        ("D:\\Data", "Allow", "Modify"),
        ("D:\\Data\\static", "Deny", "Write"),
        ("D:\\Data\\private", "Deny", "FullControl"),
        ("D:\\Data\\private\\public", "Allow", "Read"),
    )
    assert found.allows(action, path) is allowed


def test_deny_comes_before_allow_on_one_path() -> None:
    found = access(("C:\\A", "Allow", "Modify"), ("C:\\A", "Deny", "FullControl"))
    assert not found.allows("read", "C:\\A\\x")
    assert access(sid="unrestricted").allows("write", "C:\\A")


def rule(action: str, direction: str, protocol: str = "TCP", **more: list[str]) -> dict[str, object]:
    return {"Action": action, "Direction": direction, "Protocol": protocol, "Enabled": "True", **more}


def test_firewall() -> None:
    rules = [
        rule("Block", "Outbound", RemotePort=["0-442", "444-65535"]),
        rule(
            "Block", "Outbound", RemotePort=["443"], RemoteAddress=["0.0.0.0-9.255.255.255", "2001:db8::/32"]
        ),
        rule("Allow", "Inbound", LocalPort=["443"]),
        rule("Allow", "Inbound", LocalPort=["80-81"]),
        rule("Block", "Inbound", LocalPort=["81"]),
        {**rule("Block", "Outbound", "UDP"), "Enabled": "False"},
    ]
    found = Firewall(json.dumps({"rules": rules}))
    assert found.connects("tcp", "10.0.0.1", 443) and found.connects("tcp", "2001:db9::1", 443)
    assert not found.connects("tcp", "10.0.0.1", 442)
    assert not found.connects("tcp", "9.9.9.9", 443) and not found.connects("tcp", "2001:db8::1", 443)
    assert found.connects("udp", "9.9.9.9", 53)
    assert found.listens("tcp", 443) and found.listens("tcp", 80)
    assert not found.listens("tcp", 81)  # blocked and allowed
    assert not found.listens("tcp", 8080) and not found.listens("udp", 443)  # nothing comes in by itself
