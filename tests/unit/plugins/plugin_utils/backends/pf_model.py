# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader and evaluator of our part of pf.conf(5), written apart from the renderer, and only for tests."""

from __future__ import annotations

import ipaddress
import re

_TABLE = re.compile(r"table <(?P<name>[a-z0-9]+)> const \{ (?P<networks>[0-9a-f:./]+(?:, [0-9a-f:./]+)*) \}")
_PORTS = r"port \{ (?:[0-9]+(?::[0-9]+)?(?:, )?)+ \}"
_RULE = re.compile(
    r"block return out quick on ! lo0 (?P<family>inet6?) proto (?P<protocol>tcp|udp) "
    rf"from any(?: (?P<source>{_PORTS}))? to (?:any|! <(?P<table>[a-z0-9]+)>)(?: (?P<ports>{_PORTS}))? "
    r"user (?P<user>[A-Za-z0-9._-]+)(?: flags (?P<flags>S/SA))?"
)


class Anchor:
    """The rules of an anchor. Raises ``ValueError`` for a line that is none."""

    def __init__(self, text: str) -> None:
        self.tables: dict[str, list[str]] = {}
        self.rules: list[dict[str, str | None]] = []
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            if (table := _TABLE.fullmatch(line)) and not self.rules:
                self.tables[table["name"]] = table["networks"].split(", ")
            elif rule := _RULE.fullmatch(line):
                self.rules.append(rule.groupdict())
            else:
                raise ValueError(f"no rule: {line!r}")

    def blocks(
        self, user: str, protocol: str, address: str, port: int, source: int = 50000, opens: bool = True
    ) -> bool:
        """Whether a packet to ``address`` and ``port`` is stopped. ``opens``: it begins a TCP connection."""
        there = ipaddress.ip_address(address)
        for rule in self.rules:
            if (
                rule["user"] == user
                and rule["protocol"] == protocol
                and rule["family"] == ("inet" if there.version == 4 else "inet6")
                and (opens or not rule["flags"])
                and _holds(rule["source"], source)
                and _holds(rule["ports"], port)
                and not self._listed(rule["table"], there)
            ):
                return True
        return False

    def _listed(self, table: str | None, there: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return table is not None and any(there in ipaddress.ip_network(one) for one in self.tables[table])


def _holds(ports: str | None, port: int) -> bool:
    if ports is None:
        return True
    for one in re.findall(r"[0-9:]+", ports):
        first, _, last = one.partition(":")
        if int(first) <= port <= int(last or first):
            return True
    return False
