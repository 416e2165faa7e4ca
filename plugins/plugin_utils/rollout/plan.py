# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who changes when: hosts by risk, then pilot, canary and waves. Pure: same input, same plan, same hash."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .errors import RolloutError

FORMAT = 1
RISKS = ("critical", "high", "medium", "low")
DEFAULT_RISK = "medium"
DEFAULT_WAVES: tuple[int | str, ...] = (25, 100)

_SHARE = re.compile(r"(?P<number>\d{1,9})\s*(?P<unit>%|hosts?)?")


@dataclass(frozen=True)
class PlannedHost:
    """One host as it was seen before anything changed.

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


@dataclass(frozen=True)
class Wave:
    name: str
    hosts: tuple[str, ...]


@dataclass(frozen=True)
class Options:
    """How to cut the waves and when to stop. ``soak`` in seconds; ``max_failed`` counts over all waves."""

    pilot: int = 1
    waves: tuple[int | str, ...] = DEFAULT_WAVES
    max_failed: int = 0
    soak: int = 10
    pause_after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Written once, before the first host is touched; ``digest`` is what an approval would bind to."""

    rollout: str
    epoch: int
    policy: str
    created: str
    hosts: tuple[PlannedHost, ...]  # in the order in which they change
    waves: tuple[Wave, ...]
    options: Options = field(default_factory=Options)

    @property
    def order(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.hosts)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(canonical(to_data(self))).hexdigest()

    def wave_of(self, host: str) -> str:
        return next((wave.name for wave in self.waves if host in wave.hosts), "")

    def host(self, name: str) -> PlannedHost | None:
        return next((host for host in self.hosts if host.name == name), None)

    def wave(self, name: str) -> Wave:
        found = next((wave for wave in self.waves if wave.name == name), None)
        if found is None:
            known = ", ".join(wave.name for wave in self.waves)
            raise RolloutError(f"The plan of '{self.rollout}' has no wave '{name}'.", f"It has: {known}.")
        return found


def make(
    *, rollout: str, epoch: int, policy: str, created: str, hosts: Iterable[PlannedHost], options: Options
) -> Plan:
    """Order the hosts by risk and cut them into waves.

    Raises RolloutError with every fault at once: no hosts, unknown risk, wave list that makes no sense.
    """
    found = list(hosts)
    faults = [
        f"Host '{host.name}' has bulkhead_risk '{host.risk}'; write one of {', '.join(RISKS)}."
        for host in found
        if host.risk not in RISKS
    ]
    if not found:
        faults.append("No host to change.")
    names = [host.name for host in found]
    faults += [f"Host '{name}' is listed twice." for name in sorted({n for n in names if names.count(n) > 1})]
    if options.pilot < 0:
        faults.append(f"rollout_pilot is '{options.pilot}'; write 0 or more.")
    if options.max_failed < 0:
        faults.append(f"rollout_max_failed is '{options.max_failed}'; write 0 or more.")
    if options.soak < 0:
        faults.append(f"rollout_soak is '{options.soak}'; write seconds, 0 or more.")
    faults += [fault for item in options.waves if (fault := _share_fault(item))]
    if faults:
        raise RolloutError(" ".join(faults))

    by_risk = sorted(found, key=lambda host: (RISKS.index(host.risk), host.name))
    waves = _cut(by_risk, options)
    by_name = {host.name: host for host in by_risk}
    ordered = tuple(by_name[name] for wave in waves for name in wave.hosts)
    return Plan(rollout, epoch, policy, created, ordered, waves, options)


def _cut(hosts: Sequence[PlannedHost], options: Options) -> tuple[Wave, ...]:
    """Pilot, then one host of each kind of system that the pilot does not cover, then shares of the rest.

    Hosts that have it already prove nothing and risk nothing: they are looked at together, at the end.
    """
    current = [host for host in hosts if host.current]
    hosts = [host for host in hosts if not host.current]
    pilot = list(hosts[: options.pilot])
    covered = {host.fingerprint for host in pilot}
    canary: list[PlannedHost] = []
    rest: list[PlannedHost] = []
    for host in hosts[options.pilot :]:
        # A host that could not be read has no fingerprint and proves nothing about any kind of system.
        if host.fingerprint and host.fingerprint not in covered:
            covered.add(host.fingerprint)
            canary.append(host)
        else:
            rest.append(host)
    cut = [("pilot", pilot), ("canary", canary)]
    done = 0
    for number, end in enumerate(_ends(options.waves, len(rest)), start=1):
        cut.append((f"wave {number}", rest[done:end]))
        done = end
    cut.append(("unchanged", current))
    return tuple(Wave(name, tuple(host.name for host in part)) for name, part in cut if part)


def _ends(shares: Sequence[int | str], count: int) -> list[int]:
    """Cumulative ends of the waves over ``count`` hosts; the last wave always takes whoever is left."""
    ends: list[int] = []
    for share in shares:
        match = _SHARE.fullmatch(str(share).strip())
        if match is None:
            raise AssertionError("checked by make()")
        number = int(match["number"])
        # Rounded up, so that a small share of a small fleet is still a host.
        end = number if (match["unit"] or "%").startswith("host") else -(-count * number // 100)
        end = min(count, end)
        if end > (ends[-1] if ends else 0):
            ends.append(end)
    if count and (not ends or ends[-1] < count):
        ends.append(count)
    return ends


def _share_fault(item: object) -> str:
    match = _SHARE.fullmatch(str(item).strip())
    fine = match is not None and int(match["number"]) > 0
    if fine and match is not None and (match["unit"] or "%") == "%":
        fine = int(match["number"]) <= 100
    return "" if fine else f"rollout_waves has '{item}'; write a percentage (25) or a count ('5 hosts')."


def canonical(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def to_data(plan: Plan) -> dict[str, Any]:
    """Plain JSON data of the plan, without its digest."""
    return {"format": FORMAT, **json.loads(json.dumps(asdict(plan)))}


def from_data(data: Mapping[str, Any]) -> Plan:
    """The plan back from its JSON data; raises RolloutError on another format."""
    if data.get("format") != FORMAT:
        raise RolloutError(f"The plan has format '{data.get('format')}'; this version reads {FORMAT}.")
    options = data["options"]
    return Plan(
        rollout=data["rollout"],
        epoch=data["epoch"],
        policy=data["policy"],
        created=data["created"],
        hosts=tuple(PlannedHost(**host) for host in data["hosts"]),
        waves=tuple(Wave(wave["name"], tuple(wave["hosts"])) for wave in data["waves"]),
        options=Options(
            pilot=options["pilot"],
            waves=tuple(options["waves"]),
            max_failed=options["max_failed"],
            soak=options["soak"],
            pause_after=tuple(options["pause_after"]),
        ),
    )
