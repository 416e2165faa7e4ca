# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts cut into pilot, canary and waves, in the order in which they are given."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from .options import SHARE, Options


@dataclass(frozen=True)
class Host:
    """What cutting looks at. ``kinds``: a fingerprint for each of its changes, empty where the host was not read."""

    name: str
    kinds: frozenset[str]
    current: bool


def cut(
    hosts: Sequence[Host], options: Options, groups: Mapping[str, Collection[str]]
) -> list[tuple[str, list[str]]]:
    """Pilot, then one host of each kind of system that the pilot does not cover, then shares of the rest.

    Hosts that have it already prove nothing and risk nothing: they are looked at together, at the end.
    """
    changing = [host for host in hosts if not host.current]
    pilot = changing[: options.pilot]
    covered = {kind for host in pilot for kind in host.kinds}
    canary: list[Host] = []
    rest: list[str] = []
    for host in changing[options.pilot :]:
        # A host that could not be read has no kind and proves nothing about any kind of system.
        if host.kinds - covered:
            covered |= host.kinds
            canary.append(host)
        else:
            rest.append(host.name)
    parts = [("pilot", [host.name for host in pilot]), ("canary", [host.name for host in canary])]
    parts += [(f"wave {number}", part) for number, part in enumerate(_shares(rest, options, groups), start=1)]
    parts.append(("unchanged", [host.name for host in hosts if host.current]))
    return [(name, part) for name, part in parts if part]


def _shares(hosts: list[str], options: Options, groups: Mapping[str, Collection[str]]) -> list[list[str]]:
    """Percentages and counts are ends over all of ``hosts``, a group is who is left of it; the rest comes last."""
    left, parts = list(hosts), []
    for share in options.waves:
        match = SHARE.fullmatch(str(share).strip())
        if match is None:
            raise AssertionError("checked by options.faults()")
        if match["group"]:
            members = set(groups.get(match["group"], ()))
            part = [name for name in left if name in members]
        else:
            number = int(match["number"])
            # Rounded up, so that a small share of a small fleet is still a host.
            end = number if (match["unit"] or "%").startswith("host") else -(-len(hosts) * number // 100)
            part = left[: max(0, end - (len(hosts) - len(left)))]
        taken = set(part)
        left = [name for name in left if name not in taken]
        parts.append(part)
    return [part for part in [*parts, left] if part]
