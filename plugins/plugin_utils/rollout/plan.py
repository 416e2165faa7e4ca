# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who changes when: hosts by risk, then pilot, canary and waves. Pure: same input, same plan, same hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from . import cut, options
from .errors import RolloutError
from .options import DEFAULT_WAVES, Options

__all__ = ["DEFAULT_WAVES", "Options", "Plan", "PlannedHost", "Version", "Wave", "make"]

FORMAT = 2
RISKS = ("critical", "high", "medium", "low")
DEFAULT_RISK = "medium"
JOINED = "+"
_WHERE = "Give an inventory, with -i INVENTORY, or other hosts of it, with -e fleet=PATTERN."


@dataclass(frozen=True)
class PlannedHost:
    """One policy on one host as it was seen before anything changed.

    ``from_digest``: the generation active now, empty where there is none. ``to_digest``: what it will get,
    empty where the host could not be read. ``fingerprint``: of its features, empty where unknown. ``current``: it
    has all that it will get, so there is nothing to change.
    """

    name: str
    risk: str = DEFAULT_RISK
    fingerprint: str = ""
    from_digest: str = ""
    to_digest: str = ""
    reachable: bool = True
    current: bool = False
    policy: str = ""


@dataclass(frozen=True)
class Version:
    """A policy as it was when the rollout was planned. ``digest``: of its manifest; ``signed_by``: who signed it."""

    policy: str
    version: str = ""
    digest: str = ""
    signed_by: str = ""


@dataclass(frozen=True)
class Wave:
    name: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Written once, before the first host is touched; ``digest`` is what an approval binds to.

    ``policy``: the name, or the names joined by ``+``. ``author``: who asked for the rollout. ``widens``: for each
    change that gives the application more than it had, one sentence. ``unenforced``: where somebody has to approve it,
    one for each clause that hosts do not enforce in full.
    """

    rollout: str
    epoch: int
    policy: str
    created: str
    hosts: tuple[PlannedHost, ...]  # in the order in which they change
    waves: tuple[Wave, ...]
    options: Options = field(default_factory=Options)
    versions: tuple[Version, ...] = ()
    author: str = ""
    widens: tuple[str, ...] = ()
    unenforced: tuple[str, ...] = ()

    @property
    def policies(self) -> tuple[str, ...]:
        return tuple(self.policy.split(JOINED))

    @property
    def names(self) -> frozenset[str]:
        """Of the waves."""
        return frozenset(wave.name for wave in self.waves)

    @cached_property
    def order(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(host.name for host in self.hosts))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(canonical(to_data(self))).hexdigest()

    @cached_property
    def _waves(self) -> dict[str, str]:
        return {name: wave.name for wave in self.waves for name in wave.hosts}

    @cached_property
    def _hosts(self) -> dict[tuple[str, str], PlannedHost]:
        return {(host.name, host.policy): host for host in self.hosts}

    def wave_of(self, host: str) -> str:
        return self._waves.get(host, "")

    def host(self, name: str, policy: str | None = None) -> PlannedHost | None:
        """What is planned for one policy on one host; without ``policy`` for the first one there."""
        if policy is not None:
            return self._hosts.get((name, policy))
        return next((host for host in self.of(name)), None)

    def of(self, name: str) -> tuple[PlannedHost, ...]:
        """All that changes on one host, in the order of the policies."""
        return self._by_name.get(name, ())

    @cached_property
    def _by_name(self) -> dict[str, tuple[PlannedHost, ...]]:
        found: dict[str, list[PlannedHost]] = {}
        for host in self.hosts:
            found.setdefault(host.name, []).append(host)
        return {name: tuple(hosts) for name, hosts in found.items()}

    def label(self, host: str, policy: str) -> str:
        """The host for people; with the policy where a rollout has several."""
        return f"{host} {policy}" if len(self.policies) > 1 else host

    def wave(self, name: str) -> Wave:
        found = next((wave for wave in self.waves if wave.name == name), None)
        if found is None:
            known = ", ".join(wave.name for wave in self.waves)
            raise RolloutError(f"The plan of '{self.rollout}' has no wave '{name}'.", f"It has: {known}.")
        return found


def make(
    *,
    rollout: str,
    epoch: int,
    policy: str,
    created: str,
    hosts: Iterable[PlannedHost],
    options: Options,
    groups: Mapping[str, Collection[str]] | None = None,
    versions: Iterable[Version] = (),
    author: str = "",
    widens: Iterable[str] = (),
    unenforced: Iterable[str] = (),
) -> Plan:
    """Order the hosts by risk and cut them into waves.

    Raises RolloutError with every fault at once: no hosts, unknown risk, options that make no sense.
    """
    found, groups = list(hosts), groups or {}
    if wrong := faults(found, options, groups):
        raise RolloutError(" ".join(wrong))
    names = policy.split(JOINED)
    by_name: dict[str, list[PlannedHost]] = {}
    for host in sorted(found, key=lambda one: names.index(one.policy) if one.policy in names else -1):
        by_name.setdefault(host.name, []).append(host)
    by_risk = sorted(by_name, key=lambda name: (min(RISKS.index(h.risk) for h in by_name[name]), name))
    parts = cut.cut([_to_cut(name, by_name[name]) for name in by_risk], options, groups)
    ordered = tuple(host for _wave, part in parts for name in part for host in by_name[name])
    waves = tuple(Wave(name, tuple(part)) for name, part in parts)
    return Plan(
        rollout,
        epoch,
        policy,
        created,
        ordered,
        waves,
        options,
        tuple(versions),
        author,
        tuple(widens),
        tuple(unenforced),
    )


def _to_cut(name: str, hosts: list[PlannedHost]) -> cut.Host:
    kinds = frozenset(f"{host.policy}:{host.fingerprint}" for host in hosts if host.fingerprint)
    return cut.Host(name, kinds, all(host.current for host in hosts))


def faults(found: Sequence[PlannedHost], wanted: Options, groups: Mapping[str, Collection[str]]) -> list[str]:
    """One sentence for each thing for which ``make`` would refuse to plan."""
    wrong = [
        f"Host '{host.name}' has bulkhead_risk '{host.risk}'; write one of {', '.join(RISKS)}."
        for host in found
        if host.risk not in RISKS
    ]
    if not found:
        wrong.append(f"No host to change. {_WHERE}")
    pairs = [(host.name, host.policy) for host in found]
    seen: set[tuple[str, str]] = set()
    twice = sorted({name for name, policy in pairs if (name, policy) in seen or seen.add((name, policy))})  # type: ignore[func-returns-value]
    wrong += [f"Host '{name}' is listed twice." for name in twice]
    return [*wrong, *options.faults(wanted, groups)]


def canonical(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def to_data(plan: Plan) -> dict[str, Any]:
    """Plain JSON data of the plan, without its digest."""
    data = asdict(plan) | {"options": options.to_data(plan.options)}
    if not plan.unenforced:
        del data["unenforced"]  # plans of before it was kept have the hash that they had
    return {"format": FORMAT, **json.loads(json.dumps(data))}


def from_data(data: Mapping[str, Any]) -> Plan:
    """The plan back from its JSON data; raises RolloutError on another format."""
    if data.get("format") != FORMAT:
        raise RolloutError(f"The plan has format '{data.get('format')}'; this version reads {FORMAT}.")
    return Plan(
        rollout=data["rollout"],
        epoch=data["epoch"],
        policy=data["policy"],
        created=data["created"],
        hosts=tuple(PlannedHost(**host) for host in data["hosts"]),
        waves=tuple(Wave(wave["name"], tuple(wave["hosts"])) for wave in data["waves"]),
        options=options.from_data(data["options"]),
        versions=tuple(Version(**version) for version in data["versions"]),
        author=data["author"],
        widens=tuple(data["widens"]),
        unenforced=tuple(data.get("unenforced", ())),
    )
