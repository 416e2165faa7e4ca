# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of inventory groups, read only for the groups that a policy names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..policy.faults import Refusal, quote


class GroupAddresses(Mapping[str, Sequence[str]]):
    """Inventory group -> addresses of its hosts: ``bulkhead_address`` where it is set, else ``ansible_host``.

    Looking a group up templates its hosts' variables, which is slow: so it happens on demand, once. Raises
    Refusal, naming the host, where neither variable is an address: a name would be a hole in a packet filter.
    """

    def __init__(
        self, groups: Mapping[str, Sequence[str]], hostvars: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._groups = groups
        self._hostvars = hostvars
        self._found: dict[str, tuple[str, ...]] = {}

    @classmethod
    def of(cls, variables: Mapping[str, Any]) -> GroupAddresses:
        """Those of the inventory in a task's variables."""
        return cls(variables.get("groups", {}), variables.get("hostvars", {}))

    def __getitem__(self, name: str) -> tuple[str, ...]:
        if name not in self._found:
            self._found[name] = tuple(self._address(name, host) for host in self._groups[name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)

    def __contains__(self, name: object) -> bool:
        return name in self._groups

    def used(self) -> dict[str, tuple[str, ...]]:
        """The groups that were looked up so far."""
        return dict(self._found)

    def _address(self, group: str, host: str) -> str:
        variables = self._hostvars[host]
        text = str(variables.get("bulkhead_address") or variables.get("ansible_host") or host)
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            raise Refusal(
                f"host {quote(host)} of inventory group {quote(group)} has {quote(text)}, which is no address.",
                "set bulkhead_address of that host to the address that the group's peers see",
            ) from None
