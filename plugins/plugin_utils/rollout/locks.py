# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One controller at a time: ``<policy>.lock`` says who is changing a policy, and lasts as long as its process."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from . import lasting
from .errors import RolloutError
from .plan import JOINED

_POLICY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class Locks:
    """Those of one folder of rollouts. Raises RolloutError for everything that the file system refuses."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()

    def lock(self, policy: str, pid: int, what: str, rollout: str = "") -> None:
        """Take the lock for the controller process ``pid``, which runs ``rollout``; refused while another one lives.

        A lock whose process is gone is taken over. That of another machine cannot be checked and stands.
        """
        policies = [checked(name) for name in policy.split(JOINED)]
        mine = {"host": socket.gethostname(), "pid": pid, "started": _started(pid), "what": what}
        mine |= {"rollout": rollout}
        with self._guard(policies):
            for path in (self.root / f"{name}.lock" for name in policies):
                holder = _living(path)
                if holder and not _same(holder, mine):
                    raise RolloutError(
                        f"'{path.stem}' is being changed by {holder.get('what')} "
                        f"(process {holder.get('pid')} on '{holder.get('host')}').",
                        f"Wait for it. If it is certainly gone, remove '{path}'.",
                    )
            for name in policies:
                with lasting.faults(self.root):
                    lasting.replace(self.root / f"{name}.lock", json.dumps(mine) + "\n")

    @contextmanager
    def locked(self, policy: str, pid: int, what: str, rollout: str = "") -> Iterator[None]:
        """The lock, for what is to follow: it stays where the body ends well, and is given back where it raises.
        A process on another machine could never tell that this one has ended."""
        self.lock(policy, pid, what, rollout)
        try:
            yield
        except BaseException:
            with suppress(RolloutError):
                self.unlock(policy, pid)
            raise

    def holder(self, policy: str) -> dict[str, Any]:
        """Who changes ``policy`` at the moment: {"host", "pid", "what", "rollout"}; empty where nobody does."""
        for path in (self.root / f"{checked(name)}.lock" for name in policy.split(JOINED)):
            if found := _living(path):
                return found
        return {}

    def unlock(self, policy: str, pid: int) -> None:
        """Give the lock back; a lock that ``pid`` does not hold stays."""
        policies = [checked(name) for name in policy.split(JOINED)]
        # Two containers have the same process ids.
        mine = (socket.gethostname(), pid)
        with self._guard(policies):
            for path in (self.root / f"{name}.lock" for name in policies):
                with lasting.faults(path):
                    holder = lasting.read(path) if path.exists() else {}
                    if (holder.get("host"), holder.get("pid")) == mine:
                        path.unlink()

    @contextmanager
    def _guard(self, policies: Sequence[str]) -> Iterator[None]:
        """A short lock around a read and the write that rests on it; always taken in the same order."""
        with lasting.faults(self.root), ExitStack() as held:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in sorted(policies):
                place = self.root / f".{name}.guard"
                handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                held.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
            kept = held.pop_all()
        with kept:
            yield


def is_near(holder: dict[str, Any]) -> bool:
    """Whether this machine can tell that the holder lives."""
    return bool(holder.get("host") == socket.gethostname())


def checked(policy: str) -> str:
    """The name of a policy; it becomes the name of a file."""
    if not _POLICY.fullmatch(policy):
        raise RolloutError(f"'{policy}' is no name of a policy.", "Write letters, digits, '.', '_' and '-'.")
    return policy


def _living(path: Path) -> dict[str, Any]:
    """Who holds this lock and, as far as this machine can tell, lives; empty where nobody does."""
    with lasting.faults(path):
        holder = lasting.read(path) if path.exists() else {}
        return holder if holder and _alive(holder) else {}


def _started(pid: int) -> str:
    """Start time of a process, so that a reused process id is not taken for the old one; Linux only."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(holder: dict[str, Any]) -> bool:
    if holder.get("host") != socket.gethostname():
        return True
    pid = holder["pid"]
    if not isinstance(pid, int) or isinstance(pid, bool) or pid < 1:
        raise ValueError("no process id")
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not holder.get("started") or _started(pid) == holder["started"]


def _same(holder: dict[str, Any], mine: dict[str, Any]) -> bool:
    return all(holder.get(key) == mine[key] for key in ("host", "pid", "started"))
