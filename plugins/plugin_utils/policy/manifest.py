# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canonical form of a resolved policy: the bytes that are diffed, signed and approved."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from .model import Clause, Manifest, PathRef

_UNSAID = ("origin", "why", "digest")  # for people, or made from the rest


def to_data(manifest: Manifest) -> dict[str, Any]:
    """Plain JSON data. Clauses carry their type as ``kind``; origins and reasons are left out."""
    data: dict[str, Any] = _plain(manifest)
    return data


def canonical(manifest: Manifest) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces: the same for every order of lists in the document."""
    return json.dumps(to_data(manifest), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(manifest: Manifest) -> str:
    """SHA-256 of ``canonical``, 64 hex digits."""
    return hashlib.sha256(canonical(manifest)).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, PathRef):
        return {"text": value.text, "by_os": {os.value: path for os, path in value.by_os}, "glob": value.glob}
    if is_dataclass(value) and not isinstance(value, type):
        data = {
            item.name: _plain(getattr(value, item.name)) for item in fields(value) if item.name not in _UNSAID
        }
        return {"kind": type(value).__name__, **data} if isinstance(value, Clause) else data
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value
