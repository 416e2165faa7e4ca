# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle: everything that goes to one host for one policy, as the JSON that docs/contracts.md fixes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from .backends.base import Artifact, BackendError, Probe, ReadBack, Status, Verdict
from .policy.model import OS, HealthCheck, Mode, Workload

FORMAT = 1
_WORKLOAD_KEY = {OS.LINUX: "unit", OS.WINDOWS: "service", OS.MACOS: "label"}
# What makes a generation: two bundles that differ in none of these are the same on a host.
_DIGESTED = ("policy", "workload", "mode", "artifacts", "units", "health", "readbacks", "probes")


def canonical(data: Any) -> bytes:
    """JSON with sorted keys and no spaces: the same bytes for the same data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Bundle:
    """One policy compiled for one host. ``digest`` names the generation on the host."""

    os: OS
    policy: str
    version: str
    mode: Mode
    policy_digest: str
    fingerprint: str
    workload: Workload
    artifacts: tuple[Artifact, ...]
    units: tuple[str, ...]
    health: tuple[HealthCheck, ...]
    readbacks: tuple[ReadBack, ...]
    probes: tuple[Probe, ...]
    verdicts: tuple[Verdict, ...]
    paths: tuple[str, ...] = ()  # that the host looks for links in, when it says what it can do

    @cached_property
    def digest(self) -> str:
        """64 hexadecimal digits; version, verdicts, fingerprint and prose are not in it."""
        data = self._data()
        for probe in data["probes"]:
            del probe["why"]
        return hashlib.sha256(canonical({key: data[key] for key in _DIGESTED})).hexdigest()

    def of(self, status: Status) -> tuple[Verdict, ...]:
        """All verdicts of this status, in the policy's order."""
        return tuple(verdict for verdict in self.verdicts if verdict.status is status)

    def to_data(self) -> dict[str, Any]:
        """Plain JSON data, ``digest`` included."""
        return {**self._data(), "digest": self.digest}

    def to_json(self) -> str:
        return canonical(self.to_data()).decode()

    def _data(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "os": self.os.value,
            "policy": self.policy,
            "version": self.version,
            "mode": self.mode.value,
            "policy_digest": self.policy_digest,
            "fingerprint": self.fingerprint,
            "workload": _workload_data(self.workload),
            "artifacts": [_artifact_data(artifact) for artifact in self.artifacts],
            "units": list(self.units),
            "health": [{**asdict(check), "command": list(check.command)} for check in self.health],
            "readbacks": [asdict(readback) for readback in self.readbacks],
            "probes": [asdict(probe) for probe in self.probes],
            "verdicts": [
                {
                    "clause": verdict.clause,
                    "status": verdict.status.value,
                    "mechanisms": list(verdict.mechanisms),
                    "detail": verdict.detail,
                }
                for verdict in self.verdicts
            ],
            "paths": list(self.paths),
            "lines": {artifact.path: [list(pair) for pair in artifact.lines] for artifact in self.artifacts},
        }


def _workload_data(workload: Workload) -> dict[str, str]:
    data = {_WORKLOAD_KEY[workload.os]: workload.name}
    if workload.executable:
        data["executable"] = workload.executable
    if workload.user:
        data["user"] = workload.user
    return data


def _artifact_data(artifact: Artifact) -> dict[str, Any]:
    return {
        "path": artifact.path,
        "kind": artifact.kind,
        "mode": f"{artifact.mode:04o}",
        "owner": artifact.owner,
        "group": artifact.group,
        "unit": artifact.unit,
        "content": artifact.content.decode(),
    }


def from_json(text: str) -> Bundle:
    """The bundle that ``to_json`` wrote. Raises BackendError for another format or a digest that does not fit."""
    try:
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise BackendError(f"The bundle has format {data['format']}, this release reads format {FORMAT}.")
        bundle = _from_data(data)
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(f"This is no bundle: {error}.") from error
    if bundle.digest != data.get("digest"):
        raise BackendError(
            f"The bundle of policy '{bundle.policy}' was changed: its digest is not {data.get('digest')}."
        )
    return bundle


def _from_data(data: dict[str, Any]) -> Bundle:
    os = OS(data["os"])
    workload = data["workload"]
    lines = data["lines"]
    return Bundle(
        os=os,
        policy=data["policy"],
        version=data["version"],
        mode=Mode(data["mode"]),
        policy_digest=data["policy_digest"],
        fingerprint=data["fingerprint"],
        workload=Workload(
            os, workload[_WORKLOAD_KEY[os]], workload.get("executable", ""), workload.get("user", "")
        ),
        artifacts=tuple(
            Artifact(
                path=item["path"],
                content=item["content"].encode(),
                kind=item["kind"],
                mode=int(item["mode"], 8),
                owner=item["owner"],
                group=item["group"],
                unit=item["unit"],
                lines=tuple((int(number), str(clause)) for number, clause in lines.get(item["path"], [])),
            )
            for item in data["artifacts"]
        ),
        units=tuple(data["units"]),
        health=tuple(HealthCheck(**{**item, "command": tuple(item["command"])}) for item in data["health"]),
        readbacks=tuple(ReadBack(**item) for item in data["readbacks"]),
        probes=tuple(Probe(**item) for item in data["probes"]),
        verdicts=tuple(
            Verdict(item["clause"], Status(item["status"]), tuple(item["mechanisms"]), item["detail"])
            for item in data["verdicts"]
        ),
        paths=tuple(data["paths"]),
    )
