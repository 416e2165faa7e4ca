# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small files of the controller that last: what was written is on the disk, whole, before anybody hears of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import RolloutError

# What to do about a damaged file, by its suffix, where that is more than to restore it.
_ADVICE = {
    ".epoch": "Remove it: rollouts and hosts remember their epochs.",
    ".lock": "Remove it, if certainly nobody changes this policy.",
}


def read(path: Path) -> dict[str, Any]:
    """A mapping; raises ValueError for anything else."""
    data = json.loads(path.read_text())
    if not isinstance(data, dict):
        raise ValueError("no mapping")
    return data


def write(path: Path, content: str, flags: int) -> None:
    """Readable by its owner only. ``flags``: what becomes of a file that is there (O_EXCL, O_TRUNC)."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def replace(path: Path, content: str) -> None:
    """Whoever reads meanwhile finds the old content or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    write(temporary, content, os.O_TRUNC)
    temporary.replace(path)
    sync(path.parent)


def sync(folder: Path) -> None:
    """Put on the disk which names are in it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def faults(path: Path) -> Iterator[None]:
    """What goes wrong with ``path`` is a RolloutError that names it."""
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise RolloutError(f"'{place}' cannot be used: {error.strerror}.", "Set rollout_dir.") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise RolloutError(
            f"'{path}' cannot be read: it is damaged.", _ADVICE.get(path.suffix, "")
        ) from error
