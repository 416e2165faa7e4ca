# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Job objects: limits of memory, processor and processes, as a data document for a wrapper of the service.

The service control manager cannot put a service into a job. A program that makes the job, starts the
service's program in it and waits would have to stand in between; this version has no such wrapper. So the
limits are written down, and every clause is refused: nothing on the host would hold them.
"""

from __future__ import annotations

from typing import Any

from ..policy.model import (
    OS,
    Clause,
    CpuLimit,
    CpuWeight,
    IoWeight,
    Manifest,
    MaxFileSize,
    MaxOpenFiles,
    MaxProcesses,
    MemoryLimit,
)
from .base import Artifact, Compilation, Features, Grade, Support
from .collect import Collector
from .win_names import document, file_of, lines_of, service_of

NAME = "win_job"
PLATFORM = OS.WINDOWS

_NO_WRAPPER = (
    "a job object would hold it, but a service gets into one only through a wrapper service, which this "
    "version does not ship"
)


def _never(missing: str) -> Support:
    return Support(Grade.NEVER, "", missing=missing)


SUPPORT: dict[type[Clause], Support] = {
    MemoryLimit: _never(_NO_WRAPPER),
    CpuLimit: _never(_NO_WRAPPER),
    MaxProcesses: _never(f"{_NO_WRAPPER}; it would count processes, not threads"),
    CpuWeight: _never(f"{_NO_WRAPPER}; its weights are 1 to 9"),
    IoWeight: _never("Windows has no weights for input and output of services"),
    MaxOpenFiles: _never("Windows has no limit of open handles for one service"),
    MaxFileSize: _never("Windows has no limit of file sizes for one service"),
}


def compile(manifest: Manifest, features: Features) -> Compilation:
    """Render ``job.json`` where the policy has a limit that a job could hold. Sizes in bytes.

    ``features.data["processors"]``: a job's CpuRate is a share of the whole machine in 1/100 percent, so it
    stays out where the number of processors is not known.
    """
    collector = Collector(manifest, OS.WINDOWS, SUPPORT)
    collector.run({})
    limits: list[dict[str, Any]] = [
        {"limit": "JobMemoryLimit", "value": clause.bytes, "clause": clause.id}
        for clause in manifest.of(MemoryLimit)
    ]
    limits += [
        {"limit": "ActiveProcessLimit", "value": clause.count, "clause": clause.id}
        for clause in manifest.of(MaxProcesses)
    ]
    processors = int(features.data.get("processors") or 0)
    for clause in manifest.of(CpuLimit):
        entry: dict[str, Any] = {
            "limit": "CpuRatePercentOfOneProcessor",
            "value": clause.percent,
            "clause": clause.id,
        }
        if processors:
            rate = max(1, min(10000, clause.percent * 100 // processors))
            entry = {"limit": "CpuRate", "value": rate, "clause": clause.id}
        limits.append(entry)
    if not limits:
        return Compilation((), collector.verdicts())
    data = {
        "format": 1,
        "kind": "job_limits",
        "service": service_of(manifest),
        "limits": sorted(limits, key=lambda limit: (limit["limit"], limit["clause"])),
        "flags": ["JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE"],
        "applied_by": None,
        "note": "Nothing installs these limits: " + _NO_WRAPPER + ".",
    }
    content, path = document(data), file_of(manifest, "job.json")
    artifact = Artifact(
        path, content, "powershell_data", owner="SYSTEM", group="SYSTEM", lines=lines_of(content)
    )
    return Compilation((artifact,), collector.verdicts())
