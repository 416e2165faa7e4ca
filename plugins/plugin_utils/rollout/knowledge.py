# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which policy a generation was made of, kept beside the journals: so that a later plan can say what it widens.

``<rollout_dir>/.generations/<digest>.json`` holds the resolved policy. It is read back into the model's own classes
by their names and never executed; one whose digest is not the recorded one is not believed.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from ..policy import diff, model
from ..policy.manifest import digest
from .errors import RolloutError

_CLASS = "="
_UNSAID = ("origin",)


def remember(folder: Path, generation: str, manifest: model.Manifest) -> None:
    """Keep the policy of ``generation``; one that is known already is left alone."""
    path = folder / f"{generation}.json"
    if path.exists():
        return
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(_plain(manifest), sort_keys=True), "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise RolloutError(f"'{path}' cannot be written: {error.strerror}.", "Set rollout_dir.") from error


def recall(folder: Path, generation: str) -> model.Manifest | None:
    """The policy of ``generation``, or None where it is not known or not to be believed."""
    if not generation.isalnum():
        return None
    try:
        found = _built(json.loads((folder / f"{generation}.json").read_text("utf-8")))
        return found if isinstance(found, model.Manifest) and digest(found) == found.digest else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def widenings(old: model.Manifest, new: model.Manifest) -> list[str]:
    """One sentence for each change that gives the application more than it had."""
    return [
        f"{new.policy} {old.version} -> {new.version} widens {change.clause} ({change.what})."
        for change in diff.diff(old, new)
        if change.direction is diff.Direction.WIDENS
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return {_CLASS: type(value).__name__, "value": value.value}
    if is_dataclass(value) and not isinstance(value, type):
        said = {item.name: getattr(value, item.name) for item in fields(value) if item.name not in _UNSAID}
        return {_CLASS: type(value).__name__, **{name: _plain(part) for name, part in said.items()}}
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    return value


def _built(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_built(part) for part in value)
    if not isinstance(value, dict):
        return value
    kind: Any = getattr(model, value[_CLASS])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value["value"])
    if not isinstance(kind, type) or not is_dataclass(kind):
        raise ValueError(value[_CLASS])
    given = {item.name: _built(value[item.name]) for item in fields(kind) if item.name in value}
    missing = [f.name for f in fields(kind) if f.name not in given and f.default is MISSING]
    if missing:
        raise ValueError(", ".join(missing))
    return kind(**given)
