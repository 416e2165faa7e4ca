# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one fork has worked out, the others need not: JSON files below Ansible's home, safe with forks running at once.

Every worker of ansible-playbook is a process of its own and ends with its host: only the disk is common to them. What
lies here reaches hosts as root, so the directory must be this user's alone; anything else is not used at all.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MAX_AGE = 30 * 24 * 3600
SWEEP_EVERY = 24 * 3600


class CacheError(OSError):
    """The cache's directory is not this user's alone."""


def identity(paths: Iterable[Path]) -> str:
    """Changes with every change of these files: a key for what was made by them. Nothing is read."""
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


class Cache:
    """``kind``/``key`` -> plain JSON data. ``key``: letters and digits only."""

    def __init__(self, home: Path) -> None:
        self.root = home / "bulkhead_cache"
        self.made: list[tuple[str, str]] = []

    def get(self, kind: str, key: str) -> Any:
        """The stored data or None."""
        try:
            return json.loads((self._folder(kind) / f"{key}.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None

    def put(self, kind: str, key: str, data: Any) -> None:
        folder = self._folder(kind)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".new-")  # mode 0600 by itself
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(data, stream)
            Path(name).replace(folder / f"{key}.json")
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        self._forget_old(folder)

    def get_or_make(self, kind: str, key: str, make: Callable[[], Any]) -> Any:
        """The stored data, else what ``make`` gives. Of many forks that ask at once, one makes and the others wait."""
        found = self.get(kind, key)
        if found is not None:
            return found
        with self._lock(kind, key):
            found = self.get(kind, key)
            if found is None:
                found = make()
                self.made.append((kind, key))
                self.put(kind, key, found)
        return found

    def _folder(self, kind: str) -> Path:
        for folder in (self.root, self.root / kind):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = folder.stat()
            if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
                raise CacheError(f"{folder} belongs to somebody else, or others may write there: remove it.")
        return self.root / kind

    @contextmanager
    def _lock(self, kind: str, key: str) -> Iterator[None]:
        # A few lock files for all keys: they are never removed, because removing a lock file races.
        path = self._folder(kind) / f".lock-{key[:1]}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _forget_old(self, folder: Path) -> None:
        """Once a day: looking at every entry whenever one is written costs the square of the fleet's size."""
        swept, now = folder / ".swept", time.time()
        if swept.exists() and now - swept.stat().st_mtime < SWEEP_EVERY:
            return
        swept.touch(mode=0o600)
        limit = now - MAX_AGE
        for path in folder.glob("*.json"):
            try:
                if path.stat().st_mtime < limit:
                    path.unlink()
            except FileNotFoundError:
                continue
