# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that every way does: the files that a policy becomes on these hosts, and a copy of each as the way back."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = "/var/lib/bench"


@dataclass(frozen=True)
class File:
    path: str
    mode: str
    content: bytes

    @property
    def sum(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Job:
    """``installed``: what makes the sandbox. ``kept``: copies and the manifest, which our way keeps elsewhere."""

    digest: str
    installed: tuple[File, ...]
    kept: tuple[File, ...]

    @property
    def files(self) -> tuple[File, ...]:
        """Copies first: the way back is there before anything changes."""
        return self.kept + self.installed

    def folders(self) -> list[str]:
        return sorted({str(Path(one.path).parent) for one in self.files})

    def made(self) -> list[str]:
        """Folders that are nobody else's, to be removed with all in them."""
        return [KEPT, "/etc/bulkhead", "/etc/systemd/system/nginx.service.d"]


def from_bundle(bundle: dict[str, Any]) -> Job:
    """The job from a bundle as `render` writes it (docs/contracts.md)."""
    installed = tuple(File(one["path"], one["mode"], one["content"].encode()) for one in bundle["artifacts"])
    kept = [File(f"{KEPT}/files/{number}", "0600", one.content) for number, one in enumerate(installed)]
    manifest = json.dumps(bundle, separators=(",", ":"), sort_keys=True) + "\n"
    return Job(bundle["digest"], installed, (*kept, File(f"{KEPT}/manifest.json", "0600", manifest.encode())))


def lay_out(job: Job, folder: Path) -> Path:
    """Write the job's files below ``folder`` and the variables of a playbook that name them; the path of those."""
    listed = []
    for number, one in enumerate(job.files):
        source = folder / f"file{number}"
        source.write_bytes(one.content)
        listed.append({"source": str(source), "path": one.path, "mode": one.mode})
    variables = folder / "job.json"
    variables.write_text(json.dumps({"job": {"files": listed, "folders": job.folders(), "made": job.made()}}))
    return variables


def script(job: Job, act: str, head: str) -> str:
    """The floor's script for one act; ``head``: floor_host.sh."""
    lines = [head]
    if act == "rollback":
        paths = " ".join([one.path for one in job.files] + job.made())
        lines += ["systemctl stop bulkhead-net-nginx.service", f"rm -rf {paths}", "restart", "health", ""]
        return "\n".join(lines)
    for one in job.files:
        text = one.content.decode()
        if not text.endswith("\n") or "\nBENCH_END\n" in text:
            raise ValueError(f"{one.path} does not fit into a here-document")
        lines.append(f"put {one.path} {one.mode} <<'BENCH_END'\n{text}BENCH_END")
    # A record before and after, as ours has: what was begun, what ended.
    begun = f"put {KEPT}/pending 0600 <<'BENCH_END'\n{job.digest}\nBENCH_END"
    ended = f"put {KEPT}/receipt 0600 <<'BENCH_END'\n{job.digest}\nBENCH_END"
    lines[1:1] = [begun]
    return "\n".join([*lines, '[ -z "$changed" ] || restart', "health", ended, ""])
