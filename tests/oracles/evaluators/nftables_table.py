# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table of nftables lets a service's packets do, from its text alone (nft(8)).

Rules of a chain are tried in order. ``goto`` never comes back: a packet that falls off the end of a chain that was gone
to has the base chain's policy. The packet asked about is the first of a connection, and no limit is reached yet.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

_CHAIN = re.compile(r"chain ([a-z0-9_]+) \{")
_HOOK = re.compile(r"type filter hook (output|input) priority 0; policy accept;")
_TOKEN = re.compile(r'"[^"]*"|[{},]|[^\s{},"]+')
# Statements that decide nothing about the first packet below all limits.
_MARKS = ("counter", "log", "prefix", "flags", "skuid", "comment")


@dataclass(frozen=True)
class Packet:
    """The first packet of a flow: who is the other end for ``output``, which port is ours for ``input``."""

    protocol: str
    port: int
    address: str = "192.0.2.1"


class Table:
    """A table that can be asked. Raises ``ValueError`` for what it does not know."""

    def __init__(self, text: str) -> None:
        self.chains: dict[str, list[list[str]]] = {}
        self.hooks: dict[str, str] = {}
        name = ""
        for raw in text.split("\n"):
            line = raw.strip()
            if (
                not line
                or line.startswith("#")
                or re.fullmatch(r"(delete )?table inet [a-z0-9_.]+( \{( flags owner; \})?)?", line)
                or (line == "flags owner" and not name)  # who may change the table, not what it does
            ):
                continue
            if found := _CHAIN.fullmatch(line):
                name = found[1]
                self.chains[name] = []
            elif line == "}":
                name = ""
            elif not name:
                raise ValueError(f"outside of a chain: {line!r}")
            elif hook := _HOOK.fullmatch(line):
                self.hooks[hook[1]] = name
            else:
                self.chains[name].append(_TOKEN.findall(line))

    def allows(self, hook: str, packet: Packet) -> bool:
        """Whether the packet of the policy's own slice passes the hook."""
        if hook not in self.hooks:
            return True
        return self._run(self.hooks[hook], packet, 0)

    def _run(self, chain: str, packet: Packet, depth: int) -> bool:
        if depth > 8:
            raise ValueError(f"chains go round in {chain}")
        for rule in self.chains[chain]:
            verdict = _verdict(list(rule), packet)
            if verdict == "accept":
                return True
            if verdict in ("reject", "drop"):
                return False
            if verdict.startswith("goto "):
                return self._run(verdict[5:], packet, depth + 1)
        return True  # off the end of the chain: the base chain's policy, which is accept


def _verdict(rule: list[str], packet: Packet) -> str:
    """accept, reject, ``goto CHAIN``, or nothing where the rule does not match or only counts."""
    four = ipaddress.ip_address(packet.address).version == 4
    while rule:
        word = rule.pop(0)
        if word in ("accept", "drop"):
            return word
        if word == "goto":
            return f"goto {rule.pop(0)}"
        if word == "reject":
            return word
        if word in _MARKS:
            if word in ("prefix", "comment", "flags"):
                rule.pop(0)
        elif word == "limit":
            if _limited(rule):
                return ""
        elif word == "ct":
            if not _tracked(rule):
                return ""
        elif word == "socket":
            del rule[:4]  # cgroupv2 level 2 "slice": the packet asked about is the policy's own
        elif word in ("ip", "ip6"):
            rule.pop(0)
            if (word == "ip") != four or not _among(packet.address, _set(rule)):
                return ""
        elif word == "meta":
            kind, wanted = rule.pop(0), _set(rule)
            have = {"l4proto": packet.protocol, "nfproto": "ipv4" if four else "ipv6"}[kind]
            if have not in wanted:
                return ""
        elif word in ("tcp", "udp"):
            rule.pop(0)
            if word != packet.protocol or not _holds(packet.port, _set(rule)):
                return ""
        else:
            raise ValueError(f"{word!r} is not known")
    return ""


def _limited(rule: list[str]) -> bool:
    """``limit rate [over] N/unit [burst N packets]``: whether it keeps the first packet from matching."""
    rule.pop(0)
    over = rule[0] == "over"
    del rule[: 2 if over else 1]
    if rule[:1] == ["burst"]:
        del rule[:3]
    return over


def _tracked(rule: list[str]) -> bool:
    """``ct direction reply``, ``ct state ...``, ``ct count over N``: whether the first packet of a flow matches."""
    kind = rule.pop(0)
    if kind == "count":
        del rule[:2]
        return False
    wanted = _set(rule)
    return {"direction": "original", "state": "new"}[kind] in wanted


def _set(rule: list[str]) -> list[str]:
    if rule[0] != "{":
        return [rule.pop(0)]
    end = rule.index("}")
    found = [one for one in rule[1:end] if one != ","]
    del rule[: end + 1]
    return found


def _among(address: str, networks: list[str]) -> bool:
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in networks)


def _holds(port: int, spans: list[str]) -> bool:
    for one in spans:
        first, _dash, last = one.partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False
