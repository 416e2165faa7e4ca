# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of rollouts: one per rollout with plan and journal; per policy an epoch and a lock.

``<policy>.epoch`` is the last epoch given out, ``<policy>.lock`` says who is rolling out;
``<rollout>/plan.json`` is written once, ``<rollout>/journal.jsonl`` only grows.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from .errors import RolloutError
from .plan import Plan, from_data, to_data

_POLICY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_ROLLOUT = re.compile(r"(?P<policy>[A-Za-z0-9][A-Za-z0-9_.-]{0,62})-e(?P<epoch>\d{4,})")


class Store:
    """Raises RolloutError for everything that the file system refuses."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # --- rollouts ---

    def folder(self, rollout: str) -> Path:
        if not _ROLLOUT.fullmatch(rollout):
            raise RolloutError(f"'{rollout}' is no rollout id.", "They look like 'nginx-e0003'.")
        return self.root / rollout

    def journal(self, rollout: str) -> Path:
        return self.folder(rollout) / "journal.jsonl"

    def latest(self, policy: str) -> str:
        """The id of the latest rollout of ``policy`` that has a plan."""
        _checked(policy)
        found = [
            (int(match["epoch"]), entry.name)
            for entry in (self.root.iterdir() if self.root.is_dir() else ())
            if (match := _ROLLOUT.fullmatch(entry.name))
            and match["policy"] == policy
            and (entry / "plan.json").is_file()
        ]
        if not found:
            raise RolloutError(f"No rollout of '{policy}' is in '{self.root}'.", "Set rollout_dir.")
        return max(found)[1]

    def write_plan(self, plan: Plan) -> None:
        """Write the plan with its hash, once; a second time is refused."""
        folder = self.folder(plan.rollout)
        content = json.dumps({"digest": plan.digest, "plan": to_data(plan)}, indent=2, sort_keys=True)
        with _faults(folder):
            folder.mkdir(mode=0o700)
            _write(folder / "plan.json", content + "\n", os.O_EXCL)
            _sync(folder)
            _sync(self.root)

    def read_plan(self, rollout: str) -> Plan:
        """The plan, checked against its hash."""
        path = self.folder(rollout) / "plan.json"
        with _faults(path):
            data = _json(path)
        if set(data) != {"digest", "plan"}:
            raise RolloutError(f"'{path}' is no plan.")
        plan = from_data(data["plan"])
        if plan.digest != data["digest"] or plan.rollout != rollout:
            raise RolloutError(f"The plan '{path}' was changed after it was written.")
        return plan

    # --- epochs ---

    def next_epoch(self, policy: str, peek: bool = False, seen: int = 0) -> int:
        """Give out the next epoch of ``policy``; it is on disk before any host hears of it.

        With ``peek`` only say which one it would be, and write nothing. ``seen``: the highest that hosts know; where
        the folder was lost, they remember.
        """
        path = self.root / f"{_checked(policy)}.epoch"
        with nullcontext() if peek else self._guard(policy), _faults(path):
            epoch = max(seen, int(_json(path)["epoch"]) if path.exists() else 0) + 1
            # A lost epoch file must not lead to an epoch that hosts have seen.
            found = [_ROLLOUT.fullmatch(e.name) for e in (self.root.iterdir() if self.root.is_dir() else ())]
            epoch = max([epoch, *(int(m["epoch"]) + 1 for m in found if m and m["policy"] == policy)])
            if not peek:
                _replace(path, json.dumps({"epoch": epoch}) + "\n")
            return epoch

    # --- the controller's lock ---

    def lock(self, policy: str, pid: int, what: str) -> None:
        """Take the lock for the controller process ``pid``; refused while another one lives.

        A lock whose process is gone is taken over. That of another machine cannot be checked and stands.
        """
        path = self.root / f"{_checked(policy)}.lock"
        with self._guard(policy), _faults(path):
            holder = _json(path) if path.exists() else {}
            mine = {"host": socket.gethostname(), "pid": pid, "started": _started(pid), "what": what}
            if holder and not _same(holder, mine) and _alive(holder):
                raise RolloutError(
                    f"'{policy}' is being changed by {holder.get('what')} "
                    f"(process {holder.get('pid')} on '{holder.get('host')}').",
                    f"Wait for it. If it is certainly gone, remove '{path}'.",
                )
            _replace(path, json.dumps(mine) + "\n")

    def unlock(self, policy: str, pid: int) -> None:
        """Give the lock back; a lock that ``pid`` does not hold stays."""
        path = self.root / f"{_checked(policy)}.lock"
        with self._guard(policy), _faults(path):
            if path.exists() and _json(path).get("pid") == pid:
                path.unlink()

    @contextmanager
    def _guard(self, policy: str) -> Iterator[None]:
        """A short lock around a read and the write that rests on it."""
        with _faults(self.root):
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle = os.open(self.root / f".{policy}.guard", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def policy_name(policy: str) -> str:
    """The name of a policy that was given as a name or as a path: 'updates/nginx.yml' is 'nginx'."""
    return _checked(Path(policy).stem if policy.endswith((".yml", ".yaml")) else policy)


def rollout_id(policy: str, epoch: int) -> str:
    return f"{_checked(policy)}-e{epoch:04d}"


def _checked(policy: str) -> str:
    if not _POLICY.fullmatch(policy):
        raise RolloutError(f"'{policy}' is no name of a policy.", "Write letters, digits, '.', '_' and '-'.")
    return policy


def _started(pid: int) -> str:
    """Start time of a process, so that a reused process id is not taken for the old one; Linux only."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def _alive(holder: dict[str, Any]) -> bool:
    if holder.get("host") != socket.gethostname():
        return True
    pid = int(holder.get("pid", 0))
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not holder.get("started") or _started(pid) == holder["started"]


def _same(holder: dict[str, Any], mine: dict[str, Any]) -> bool:
    return all(holder.get(key) == mine[key] for key in ("host", "pid", "started"))


def _json(path: Path) -> dict[str, Any]:
    data = json.loads(path.read_text())
    if not isinstance(data, dict):
        raise ValueError("no mapping")
    return data


def _write(path: Path, content: str, flags: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | flags, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _replace(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    _write(temporary, content, os.O_TRUNC)
    temporary.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = error.filename or path
        raise RolloutError(f"'{place}' cannot be used: {error.strerror}.", "Set rollout_dir.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise RolloutError(f"'{path}' cannot be read: it is damaged.") from error
