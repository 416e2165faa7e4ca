# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approvals: somebody else than the author signs the plan's hash, for a while.

An approval is two files in ``<rollout>/approvals``: ``<name>`` (five lines, see ``statement``) and ``<name>.sig``. It
names the rollout and the hash of its plan, so it is good for nothing else. It is checked anew before each wave.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from . import signatures
from .errors import RolloutError
from .plan import Plan

_LINES = re.compile(
    r"bulkhead approval\nrollout (?P<rollout>\S+)\nplan (?P<plan>[0-9a-f]{64})\nby (?P<by>[^\n]+)\n"
    r"until (?P<until>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n"
)
_LONGEST = 4096


@dataclass(frozen=True)
class Rules:
    """Who may approve. ``signers``: file of allowed signers; ``hours``: how long an approval may be good at most;
    ``approvals``: how many are needed at least; ``sign_policies``: policies have to be signed, by ``authors``."""

    signers: Path
    approvers: tuple[str, ...]
    authors: tuple[str, ...] = ()
    approvals: int = 1
    hours: int = 72
    sign_policies: bool = False


@dataclass(frozen=True)
class Approvals:
    """``by``: whose approvals count; ``refused``: file -> why it does not count."""

    by: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def rules(path: Path) -> Rules:
    """Read the file of approvers. Raises RolloutError with everything that is wrong with it."""
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise RolloutError(f"'{path}' cannot be read: {error.strerror}.", "Set rollout_approvers.") from error
    except UnicodeDecodeError as error:
        raise RolloutError(f"'{path}' is no text in UTF-8.", "docs/rollout.md has an example.") from error
    except yaml.YAMLError as error:
        raise RolloutError(f"'{path}' is no YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(data, dict):
        raise RolloutError(f"'{path}' is no mapping.", "It needs allowed_signers and approvers.")
    known: dict[str, type] = {
        "allowed_signers": str,
        "approvers": list,
        "authors": list,
        "approvals": int,
        "hours": int,
        "sign_policies": bool,
    }
    faults = [f"has '{key}', which is not known" for key in data if key not in known]
    faults += [f"has no '{key}'" for key in ("allowed_signers", "approvers") if not data.get(key)]
    faults += [
        f"has '{key}' that is no {kind.__name__}"
        for key, kind in known.items()
        # A bool is an int for Python: 'approvals: no' would let everybody through.
        if key in data and (not isinstance(data[key], kind) or (kind is int and isinstance(data[key], bool)))
    ]
    if not faults:
        faults = _number_faults(data)
    if faults:
        raise RolloutError(f"'{path}' {', '.join(faults)}.", "docs/rollout.md has an example.")
    return Rules(
        signers=path.parent / data["allowed_signers"],
        approvers=tuple(map(str, data["approvers"])),
        authors=tuple(map(str, data.get("authors", ()))),
        approvals=data.get("approvals", 1),
        hours=data.get("hours", 72),
        sign_policies=data.get("sign_policies", False),
    )


def _number_faults(data: Mapping[str, Any]) -> list[str]:
    faults = [f"has '{key}' below 1" for key in ("hours", "approvals") if data.get(key, 1) < 1]
    there = len(set(map(str, data["approvers"])))
    if data.get("approvals", 1) > there:
        faults.append(f"has 'approvals' {data['approvals']}, more than the approvers that it names ({there})")
    return faults


def digest(path: Path, wanted: Rules) -> str:
    """SHA-256 of who may approve: of the file of approvers and of the allowed signers that it names."""
    found = hashlib.sha256()
    for one in (path, wanted.signers):
        try:
            found.update(hashlib.sha256(one.read_bytes()).digest())
        except OSError as error:
            raise RolloutError(
                f"'{one}' cannot be read: {error.strerror}.", "Set rollout_approvers."
            ) from error
    return found.hexdigest()


def statement(plan: Plan, by: str, until: datetime) -> bytes:
    """The bytes that are signed."""
    when = until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = (
        "bulkhead approval",
        f"rollout {plan.rollout}",
        f"plan {plan.digest}",
        f"by {by}",
        f"until {when}",
    )
    return "".join(f"{line}\n" for line in lines).encode()


def file_name(by: str) -> str:
    """Of the approval of ``by``, whose name may have any sign in it."""
    name = re.sub(r"[^A-Za-z0-9._-]", lambda sign: f"_{ord(sign[0]):x}_", by.replace("@", "_at_"))
    return f"by_{name}" if name.startswith(".") or name.endswith(".sig") else name


def check(plan: Plan, folder: Path, wanted: Rules, now: datetime) -> Approvals:
    """Judge every approval in ``folder``. Never raises for what lies there: a bad one is refused with the reason."""
    by: dict[bytes, str] = {}  # by key: one person under two names is one
    refused: dict[str, str] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        # Whoever reads a pipe waits for its writer.
        if path.suffix == ".sig" or path.name.startswith(".") or path.is_fifo():
            continue
        try:
            name, key = _approver(plan, path, wanted, now)
            if by.setdefault(key, name) != name:
                raise RolloutError(
                    f"'{name}' signed with the key of '{by[key]}', whose approval counts already."
                )
        except RolloutError as problem:
            refused[path.name] = str(problem)
    return Approvals(tuple(dict.fromkeys(by.values())), refused)


def _approver(plan: Plan, path: Path, wanted: Rules, now: datetime) -> tuple[str, bytes]:
    """(name, key) of whose approval it is. Raises RolloutError where it does not count."""
    try:
        content = path.read_bytes()
        match = _LINES.fullmatch(content.decode("ascii")) if len(content) <= _LONGEST else None
        until = datetime.strptime(match["until"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if match else None
    except (OSError, ValueError):
        match = until = None
    if match is None or until is None:
        raise RolloutError("It is no approval.")
    by = match["by"]
    if match["rollout"] != plan.rollout or match["plan"] != plan.digest:
        raise RolloutError(f"It approves another plan, of '{match['rollout']}'.")
    if until <= now:
        raise RolloutError(f"It expired {match['until']}.")
    if until > now + timedelta(hours=wanted.hours):
        raise RolloutError(f"It is good until {match['until']}; at most {wanted.hours} hours are allowed.")
    if by not in wanted.approvers:
        raise RolloutError(f"'{by}' is no approver.")
    signature = path.with_name(f"{path.name}.sig")
    if trouble := signatures.verify(content, signature, by, wanted.signers, signatures.APPROVAL):
        raise RolloutError(f"It is not by '{by}': {trouble}.")
    key = signatures.key_of(signature)
    names = signatures.names_of(key, wanted.signers)
    for author in authors(plan):
        if author == by or signatures.is_named(author, names):
            raise RolloutError(f"'{by}' is the author '{author}', who cannot approve what is his own.")
    return by, key


def authors(plan: Plan) -> tuple[str, ...]:
    """Who made what is to be approved: who asked for the rollout, and who signed its policies."""
    return tuple(dict.fromkeys(name for name in (plan.author, *(v.signed_by for v in plan.versions)) if name))


def policy_statement(policy: str, version: str, digest: str) -> bytes:
    """What an author signs: the resolved policy, with its baselines and the addresses of its groups."""
    return f"bulkhead policy\npolicy {policy}\nversion {version}\ndigest {digest}\n".encode()


def policy_signer(said: bytes, signature: Path, wanted: Rules) -> str:
    """Who signed a policy. Raises RolloutError where nobody did who may."""
    if not signature.is_file():
        raise RolloutError(f"there is no signature '{signature}'")
    troubles = []
    for author in wanted.authors:
        trouble = signatures.verify(said, signature, author, wanted.signers, signatures.POLICY)
        if not trouble:
            signatures.key_of(signature)
            return author
        troubles.append(trouble)
    raise RolloutError(troubles[0] if troubles else "the file of approvers names no authors")


def changed(plan: Plan, path: str) -> bool:
    """Whether who may approve is not what it was when it was planned: then no approval counts any more."""
    known = plan.options.approvers_digest
    return bool(known) and digest(Path(path), rules(Path(path))) != known


def state(plan: Plan, folder: Path, now: datetime, path: str) -> tuple[Approvals, int, str]:
    """(approvals, how many are missing, a sentence about it): what a wave waits for."""
    if not plan.options.approvals:
        return Approvals(), 0, ""
    wanted = rules(Path(path))
    if changed(plan, path):
        text = f"'{path}' or its allowed signers are not what they were when '{plan.rollout}' was planned."
        return Approvals(), plan.options.approvals, text
    found = check(plan, folder, wanted, now)
    missing = max(0, plan.options.approvals - len(found.by))
    text = f"{len(found.by)} of {plan.options.approvals} approvals"
    text += f" ({', '.join(found.by)})" if found.by else ""
    text += "".join(f"; {name} is refused: {why}" for name, why in found.refused.items())
    return found, missing, text if text.endswith(".") else f"{text}."


def data(found: Approvals) -> dict[str, Any]:
    return {"by": list(found.by), "refused": dict(found.refused)}
