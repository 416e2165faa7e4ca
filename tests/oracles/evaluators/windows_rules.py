# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Windows lets a service do, from the bytes of its AppLocker policy, access list and firewall rules alone.

AppLocker: a deny rule that matches beats every allow rule, an exception takes a path out of its rule, and where a
collection has rules nothing runs that no allow rule matches ("Understanding AppLocker rule behavior", Microsoft).
Access lists: entries of a path itself come before inherited ones, nearer ones before farther ones, deny before allow at
each step ("Order of ACEs in a DACL"). A restricted service SID has to be named by the list for a write to succeed.
Firewall: a block rule beats every allow rule; what no rule matches goes out, and does not come in.
"""

from __future__ import annotations

import ipaddress
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import PureWindowsPath
from typing import Any

_RIGHTS = {
    "read": {"FullControl", "Read", "ReadAndExecute", "Modify"},
    "write": {"FullControl", "Modify", "Write"},
    "execute": {"FullControl", "ReadAndExecute", "ExecuteFile", "Modify"},
}


class AppLocker:
    """The rules for one SID; ``Everyone`` is S-1-1-0."""

    def __init__(self, text: str, sid: str) -> None:
        self.rules: list[tuple[str, list[str], list[str]]] = []
        self.enforced = False
        for collection in ElementTree.fromstring(text).iter("RuleCollection"):
            if collection.get("Type") != "Exe":
                continue
            self.enforced = collection.get("EnforcementMode") == "Enabled"
            for rule in collection.iter("FilePathRule"):
                if rule.get("UserOrGroupSid") not in (sid, "S-1-1-0"):
                    continue
                held = [
                    [one.attrib["Path"] for one in rule.findall(f"{part}/FilePathCondition")]
                    for part in ("Conditions", "Exceptions")
                ]
                self.rules.append((rule.attrib["Action"], held[0], held[1]))

    def allows(self, path: str) -> bool:
        """Whether a program may be run."""
        matching = {
            action
            for action, conditions, exceptions in self.rules
            if _any(path, conditions) and not _any(path, exceptions)
        }
        return not self.enforced or ("Deny" not in matching and "Allow" in matching)


def _any(path: str, patterns: list[str]) -> bool:
    return any(
        re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), path, re.IGNORECASE | re.DOTALL)
        for pattern in patterns
    )


class AccessList:
    """The entries of the service's settings, as they are put on the paths that they name."""

    def __init__(self, text: str) -> None:
        data = json.loads(text)
        self.restricted = data["sid"] is not None and data["sid"]["type"] == "restricted"
        self.entries = [
            (PureWindowsPath(one["path"]), one["type"], set(one["rights"])) for one in data["access"]
        ]

    def allows(self, action: str, path: str) -> bool:
        there = PureWindowsPath(path)
        for step in (there, *there.parents):
            here = [(kind, rights) for where, kind, rights in self.entries if where == step]
            if any(kind == "Deny" and rights & _RIGHTS[action] for kind, rights in here):
                return False
            if any(kind == "Allow" and rights & _RIGHTS[action] for kind, rights in here):
                return True
        return action != "write" or not self.restricted


class Firewall:
    """The rules of one service."""

    def __init__(self, text: str) -> None:
        self.rules: list[dict[str, Any]] = [
            rule for rule in json.loads(text)["rules"] if rule["Enabled"] == "True"
        ]

    def connects(self, protocol: str, address: str, port: int) -> bool:
        return not any(
            rule["Action"] == "Block" and _matches(rule, "Outbound", protocol, address, port, "RemotePort")
            for rule in self.rules
        )

    def listens(self, protocol: str, port: int, address: str = "192.0.2.1") -> bool:
        matching = {
            rule["Action"]
            for rule in self.rules
            if _matches(rule, "Inbound", protocol, address, port, "LocalPort")
        }
        return matching == {"Allow"}


def _matches(rule: dict[str, Any], direction: str, protocol: str, address: str, port: int, side: str) -> bool:
    if rule["Direction"] != direction or rule["Protocol"].lower() not in (protocol, "any"):
        return False
    ports = rule.get(side, ["Any"])
    if ports != ["Any"] and not any(_spans(str(port), one, int) for one in ports):
        return False
    addresses = rule.get("RemoteAddress", ["Any"])
    return addresses == ["Any"] or any(_spans(address, one, _number) for one in addresses)


def _number(text: str) -> tuple[int, int]:
    found = ipaddress.ip_address(text)
    return found.version, int(found)


def _spans(value: str, span: str, of: Any) -> bool:
    if "/" in span:
        return ipaddress.ip_address(value) in ipaddress.ip_network(span)
    first, _dash, last = span.partition("-")
    low, here, high = of(first), of(value), of(last or first)
    same = not isinstance(low, tuple) or low[0] == here[0]
    return same and bool(low <= here <= high)
