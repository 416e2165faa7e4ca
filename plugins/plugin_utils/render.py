# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what a bundle would put on a host into a folder, with its verdicts: for review, never applied from there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from .backends import features
from .backends.base import Features, Verdict
from .bundle import Bundle
from .policy.model import OS, Manifest

# What an operating system's plain name stands for.
NEWEST = {OS.LINUX: "debian13", OS.WINDOWS: "windows2022", OS.MACOS: "macos15"}
ORDER = ("refused", "partial", "waived", "enforced")


class RenderError(Exception):
    """An artifact that cannot be laid out below the folder."""


def reference(system: str, manifest: Manifest) -> Features:
    """Recorded features by name, or those that an operating system's name stands for. Raises BackendError."""
    by_os = {os.value: name for os, name in NEWEST.items()}
    linux = manifest.workload(OS.LINUX)
    return features.reference(by_os.get(system, system), linux.name if linux else "")


def files(bundle: Bundle) -> dict[str, bytes]:
    """Relative path -> bytes of all that is written for one host: ``files/...``, ``verdicts.*``, ``bundle.json``."""
    out = {f"files/{relative(a.path, bundle.os)}": a.content for a in bundle.artifacts}
    verdicts = [
        {"clause": v.clause, "status": v.status.value, "mechanisms": list(v.mechanisms), "detail": v.detail}
        for v in bundle.verdicts
    ]
    out["verdicts.json"] = (json.dumps(verdicts, indent=2, sort_keys=True) + "\n").encode()
    out["verdicts.md"] = ("\n".join(markdown(bundle)) + "\n").encode()
    out["bundle.json"] = (json.dumps(json.loads(bundle.to_json()), indent=2, sort_keys=True) + "\n").encode()
    return out


def relative(path: str, os: OS) -> str:
    """Where an absolute path of the host lies below ``files/``; a drive letter becomes a folder."""
    if os is OS.WINDOWS:
        windows = PureWindowsPath(path)
        parts = [windows.drive.replace(":", "").replace("\\", ""), *windows.parts[1:]]
    else:
        parts = path.split("/")
    parts = [p for p in parts if p]
    if not parts or any(p in (".", "..") for p in parts):
        raise RenderError(f"The artifact '{path}' does not lie below a root.")
    return "/".join(parts)


def write(folder: Path, wanted: Mapping[str, bytes], *, check: bool = False) -> list[str]:
    """Bring ``folder`` to hold exactly ``wanted``; returns the relative paths that differ, sorted."""
    present = (
        {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} if folder.is_dir() else set()
    )
    changed = sorted(
        (present - set(wanted))
        | {
            name
            for name, data in wanted.items()
            if name not in present or (folder / name).read_bytes() != data
        }
    )
    for name in [] if check else changed:
        target = folder / name
        if name not in wanted:
            target.unlink()
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(wanted[name])
        target.chmod(0o644)
    return changed


def counts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Status -> number of clauses, worst first; all four are always there."""
    found = [v.status.value for v in verdicts]
    return {status: found.count(status) for status in ORDER}


def summary(bundle: Bundle) -> str:
    """``58 clauses: 0 refused, 9 partial, 1 waived, 48 enforced``."""
    return f"{len(bundle.verdicts)} clauses: " + ", ".join(
        f"{n} {s}" for s, n in counts(bundle.verdicts).items()
    )


def table(bundle: Bundle) -> list[str]:
    """The verdict table as lines for a terminal, worst first."""
    rows = [(v.status.value, v.clause, _how(v)) for v in _worst_first(bundle.verdicts)]
    width = max((len(r[1]) for r in rows), default=0)
    return [f"{status:<9} {clause:<{min(width, 48)}}  {how}".rstrip() for status, clause, how in rows] + [
        summary(bundle)
    ]


def markdown(bundle: Bundle) -> list[str]:
    """The verdict table as Markdown lines."""
    lines = [f"# {bundle.policy} {bundle.version}", "", summary(bundle), ""]
    lines += ["| verdict | clause | mechanism, or what is missing |", "|---|---|---|"]
    for v in _worst_first(bundle.verdicts):
        lines.append(f"| {v.status.value} | {_cell(v.clause)} | {_cell(_how(v))} |")
    return lines


def _worst_first(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return sorted(verdicts, key=lambda v: (ORDER.index(v.status.value), v.clause))


def _how(verdict: Verdict) -> str:
    return ": ".join(part for part in (", ".join(verdict.mechanisms), verdict.detail) if part)


def _cell(text: str) -> str:
    """Text of a policy inside of a Markdown table must stay one cell."""
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
    return " ".join(escaped.split())


def result(bundle: Bundle, folder: Path, changed: list[str]) -> dict[str, Any]:
    """What the render action gives back to a playbook."""
    return {
        "changed": bool(changed),
        "dest": str(folder),
        "files": changed,
        "digest": bundle.digest,
        "counts": counts(bundle.verdicts),
        "table": table(bundle),
    }
