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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from . import bound, journal, state
from .errors import RolloutError
from .plan import JOINED, Plan, from_data, to_data

_POLICY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
# Several policies of one rollout are joined by "+"; a name of a file has at most 255 bytes.
_ROLLOUT = re.compile(
    r"(?P<policies>[A-Za-z0-9][A-Za-z0-9_.-]{0,62}(?:\+[A-Za-z0-9][A-Za-z0-9_.-]{0,62})*)-e(?P<epoch>\d{4,})"
)
_LONGEST = 200


class Store:
    """Raises RolloutError for everything that the file system refuses."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).absolute()

    # --- rollouts ---

    def folder(self, rollout: str) -> Path:
        if not _ROLLOUT.fullmatch(rollout):
            raise RolloutError(f"'{rollout}' is no rollout id.", "They look like 'nginx-e0003'.")
        return self.root / rollout

    def journal(self, rollout: str) -> Path:
        return self.folder(rollout) / "journal.jsonl"

    @property
    def generations(self) -> Path:
        """Folder of the policies that generations were made of."""
        return self.root / ".generations"

    def latest(self, policy: str) -> str:
        """The id of the latest rollout of ``policy`` (or of all policies joined by "+") that has a plan."""
        wanted = {_checked(name) for name in policy.split(JOINED)}
        found = [
            (epoch, name)
            for epoch, name, policies in self._rollouts()
            if wanted <= policies and (self.root / name / "plan.json").is_file()
        ]
        if not found:
            raise RolloutError(f"No rollout of '{policy}' is in '{self.root}'.", "Set rollout_dir.")
        return max(found)[1]

    def promoted(self, policy: str) -> str:
        """The id of the latest rollout of ``policy`` that passed and was not rolled back since."""
        wanted = {_checked(name) for name in policy.split(JOINED)}
        found = sorted(((n, name) for n, name, own in self._rollouts() if wanted <= own), reverse=True)
        for _epoch, name in found:
            if self.journal(name).exists() and self.is_promoted(name):
                return name
        raise RolloutError(
            f"No rollout of '{policy}' in '{self.root}' has passed, so there is nothing to catch up to."
        )

    def is_promoted(self, rollout: str) -> bool:
        """Whether it passed, and nobody took it back since."""
        records = journal.read(self.journal(rollout)).records
        return state.ended(records) == "pass" and not state.closed(records)

    def _rollouts(self) -> Iterator[tuple[int, str, set[str]]]:
        """(epoch, id, policies) of every folder of a rollout."""
        for entry in self.root.iterdir() if self.root.is_dir() else ():
            if match := _ROLLOUT.fullmatch(entry.name):
                yield int(match["epoch"]), entry.name, set(match["policies"].split(JOINED))

    def write_plan(self, plan: Plan) -> None:
        """Write the plan with its hash, once; a second time is refused."""
        folder = self.folder(plan.rollout)
        content = json.dumps({"digest": plan.digest, "plan": to_data(plan)}, indent=2, sort_keys=True)
        with _faults(folder):
            folder.mkdir(mode=0o700)
            # Before the plan, and empty: whoever finds a plan without a journal knows that one was lost.
            _write(folder / "journal.jsonl", "", os.O_EXCL)
            _write(folder / "plan.json", content + "\n", os.O_EXCL)
            _sync(folder)
            _sync(self.root)

    def set_aside(self, rollout: str) -> Path:
        """Move a rollout's folder out of the way; where it is now."""
        folder = self.folder(rollout)
        aside = self.root / f".{rollout}.{journal.now()}"
        with _faults(folder):
            folder.rename(aside)
            _sync(self.root)
        return aside

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
        policies = [_checked(name) for name in policy.split(JOINED)]
        with nullcontext() if peek else self._guard(policies):
            # A lost epoch file must not lead to an epoch that hosts have seen.
            known = [seen, *(number for number, _id, own in self._rollouts() if own & set(policies))]
            paths = [self.root / f"{name}.epoch" for name in policies]
            for path in paths:
                with _faults(path):
                    known += [int(_json(path)["epoch"])] if path.exists() else []
            for path in () if peek else paths:
                with _faults(path):
                    _replace(path, json.dumps({"epoch": max(known) + 1}) + "\n")
            return max(known) + 1

    # --- the controller's lock ---

    def lock(self, policy: str, pid: int, what: str, rollout: str = "") -> None:
        """Take the lock for the controller process ``pid``, which runs ``rollout``; refused while another one lives.

        A lock whose process is gone is taken over. That of another machine cannot be checked and stands.
        """
        policies = [_checked(name) for name in policy.split(JOINED)]
        mine = {"host": socket.gethostname(), "pid": pid, "started": _started(pid), "what": what}
        mine |= {"rollout": rollout}
        with self._guard(policies):
            for path in (self.root / f"{name}.lock" for name in policies):
                with _faults(path):
                    holder = _json(path) if path.exists() else {}
                if holder and not _same(holder, mine) and _alive(holder):
                    raise RolloutError(
                        f"'{path.stem}' is being changed by {holder.get('what')} "
                        f"(process {holder.get('pid')} on '{holder.get('host')}').",
                        f"Wait for it. If it is certainly gone, remove '{path}'.",
                    )
            for name in policies:
                with _faults(self.root):
                    _replace(self.root / f"{name}.lock", json.dumps(mine) + "\n")

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
        for path in (self.root / f"{_checked(name)}.lock" for name in policy.split(JOINED)):
            with _faults(path):
                found = _json(path) if path.exists() else {}
            if found and _alive(found):
                return found
        return {}

    def unlock(self, policy: str, pid: int) -> None:
        """Give the lock back; a lock that ``pid`` does not hold stays."""
        policies = [_checked(name) for name in policy.split(JOINED)]
        # Two containers have the same process ids.
        mine = (socket.gethostname(), pid)
        with self._guard(policies):
            for path in (self.root / f"{name}.lock" for name in policies):
                with _faults(path):
                    holder = _json(path) if path.exists() else {}
                    if (holder.get("host"), holder.get("pid")) == mine:
                        path.unlink()

    @contextmanager
    def _guard(self, policies: Sequence[str]) -> Iterator[None]:
        """A short lock around a read and the write that rests on it; always taken in the same order."""
        with _faults(self.root), ExitStack() as held:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name in sorted(policies):
                place = self.root / f".{name}.guard"
                handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                held.callback(os.close, handle)
                fcntl.flock(handle, fcntl.LOCK_EX)
            kept = held.pop_all()
        with kept:
            yield


def opened(given: Mapping[str, Any], part: bool = False) -> tuple[Store, Plan]:
    """The folder ``rollout_dir`` and the plan in it that ``rollout`` names, else that of the latest rollout.

    Raises RolloutError where that is a rollout of other ``policies``; with ``part`` some of its own are enough.
    """
    place, policy = Store(given["rollout_dir"]), policy_names(given["policies"])
    plan = place.read_plan(given["rollout"] or place.latest(policy))
    bound.refuse_names(plan, policy.split(JOINED), part)
    return place, plan


def policy_name(policy: str) -> str:
    """The name of a policy that was given as a name or as a path: 'updates/nginx.yml' is 'nginx'."""
    return _checked(Path(policy).stem if policy.endswith((".yml", ".yaml")) else policy)


def policy_names(policies: Iterable[str]) -> str:
    """The names of several policies as one text, in the order given. Raises RolloutError where one comes twice."""
    names = [policy_name(policy) for policy in policies]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RolloutError(f"Policy '{twice[0]}' is named twice.")
    if not names:
        raise RolloutError("No policy is named.", "Write -e policy=nginx, or several: -e policy=nginx,redis.")
    return JOINED.join(names)


def rollout_id(policy: str, epoch: int) -> str:
    for name in policy.split(JOINED):
        _checked(name)
    if len(policy) > _LONGEST:
        raise RolloutError(
            "The names of the policies are too long for one rollout.", "Roll out fewer at once."
        )
    return f"{policy}-e{epoch:04d}"


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
