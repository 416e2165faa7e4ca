# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and paths of Windows: what a service is called, which SID it has, and which paths can be carried."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections.abc import Mapping
from typing import Any

from ..policy.model import OS, Manifest
from .base import BackendError

# A service name has at most 256 characters and no slash of either kind
# (https://learn.microsoft.com/windows/win32/api/winsvc/nf-winsvc-createservicew). Ours are ASCII as well: the
# SID is made from the name in upper case, and only for ASCII are Python's and Windows' upper case the same.
_SERVICE = re.compile(r"(?! )[ -.0-\[\]-~]{1,256}(?<! )")
_POLICY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DRIVE = re.compile(r"[A-Za-z]:\\")
# Not allowed in a file name; the colon would name a stream of a file.
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f\ud800-\udfff]')
_SHORT = re.compile(r"~[0-9]")


def service_of(manifest: Manifest) -> str:
    """The service's name. Raises ``BackendError`` where the policy names none that Windows could have."""
    workload = manifest.workload(OS.WINDOWS)
    if workload is None:
        raise BackendError(f"policy {manifest.policy!r} names no Windows service (workload.windows.service).")
    if not _SERVICE.fullmatch(workload.name):
        raise BackendError(
            f"{workload.name!r} cannot name a Windows service (workload.windows.service): write 1 to 256 "
            "ASCII characters without slashes, backslashes and control characters."
        )
    return workload.name


def service_sid(name: str) -> str:
    """The SID of a service: S-1-5-80 and the SHA-1 of its upper-case name in UTF-16LE, as five numbers."""
    digest = hashlib.sha1(name.upper().encode("utf-16-le"), usedforsecurity=False).digest()
    return "S-1-5-80-" + "-".join(str(part) for part in struct.unpack("<5I", digest))


def file_of(manifest: Manifest, name: str) -> str:
    """Where one of our files stands on the host."""
    if not _POLICY.fullmatch(manifest.policy):
        raise BackendError(
            f"{manifest.policy!r} cannot be part of a file name (policy): write letters, digits and '-'."
        )
    return f"C:\\ProgramData\\Bulkhead\\{manifest.policy}\\{name}"


def windows_path(text: str, clause: str) -> str:
    """A drive-absolute path in its one spelling: backslashes, no trailing one.

    Refused are spellings that name another file than they seem to: dot components, streams, short names,
    trailing dots and spaces (Windows strips these when a file is opened).
    """
    path = text.replace("/", "\\")
    if not _DRIVE.match(path):
        raise BackendError(
            f"{text!r} is not a path on a Windows drive ({clause}): write it as 'C:\\\\folder'."
        )
    parts = [part for part in path[3:].split("\\") if part]
    for part in parts:
        if _FORBIDDEN.search(part) or part.rstrip(". ") != part or _SHORT.search(part):
            raise BackendError(
                f"{text!r} cannot be carried on Windows because of {part!r} ({clause}): write the long name, "
                "without '..', wildcards, streams, and trailing dots or spaces."
            )
    return path[:2].upper() + "\\" + "\\".join(parts)


def within(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or below it. Windows compares names without regard to case."""
    here, above = path.casefold(), folder.casefold().rstrip("\\")
    return here == above or here.startswith(above + "\\")


def document(data: Mapping[str, Any]) -> bytes:
    """A data document: JSON in ASCII with sorted keys. The one place where values become text."""
    return (json.dumps(data, sort_keys=True, indent=2, ensure_ascii=True) + "\n").encode("ascii")


def lines_of(content: bytes) -> tuple[tuple[int, str], ...]:
    """Which clause made which entry of a data document: the line of its ``clause`` key, and its id."""
    found = []
    for number, line in enumerate(content.decode("ascii").splitlines(), start=1):
        key, _sep, value = line.strip().rstrip(",").partition(": ")
        # A value cannot pass for the key: inside of a JSON string its quotation marks are escaped.
        if key == '"clause"':
            found.append((number, str(json.loads(value))))
    return tuple(found)
