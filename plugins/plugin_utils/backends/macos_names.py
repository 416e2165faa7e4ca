# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and paths of macOS: the label, the account, and paths as the kernel's sandbox compares them."""

from __future__ import annotations

import re

from ..policy.links import followed
from ..policy.model import OS, Connect, Families, Manifest, PeerKind, User
from .base import BackendError

POLICY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,30}")
_UNSPEAKABLE = re.compile("[\x00-\x1f\x7f\u0080-\u009f\u2028\u2029\ud800-\udfff]")

# Accounts that more than one daemon runs as: a packet filter rule or a process count would hit them all.
SHARED_ACCOUNTS = frozenset({"", "root", "nobody", "daemon", "_www"})
LOOPBACK = frozenset({"127.0.0.1/32", "::1/128", "127.0.0.1", "::1"})


def label_of(manifest: Manifest) -> str:
    """The launchd label of our own job; the vendor's job and file stay as they are."""
    workload = manifest.workload(OS.MACOS)
    if workload is None:
        raise BackendError(f"policy {manifest.policy!r} names no launchd label (workload.macos.label).")
    if not _LABEL.fullmatch(workload.name) or not POLICY.fullmatch(manifest.policy):
        raise BackendError(
            f"{workload.name!r} or {manifest.policy!r} cannot be a label (workload.macos.label, policy): "
            "write letters, digits, '.', '-' and '_'."
        )
    return f"bulkhead.{manifest.policy}"


def account_of(manifest: Manifest) -> str:
    """The account that the daemon runs as, empty for root. Raises ``BackendError`` on a bad name."""
    workload = manifest.workload(OS.MACOS)
    named = (workload.user if workload else "") or next((user.name for user in manifest.of(User)), "")
    if named and not _ACCOUNT.fullmatch(named):
        place = "workload.macos.user" if workload and workload.user else "identity.user"
        raise BackendError(f"{named!r} cannot name a macOS account ({place}): write letters, digits and '_'.")
    return named


def profile_of(manifest: Manifest) -> str:
    return f"/Library/Application Support/Bulkhead/{manifest.policy}.sb"


def program_of(manifest: Manifest) -> str:
    """The daemon's program. Raises ``BackendError`` where the policy names none."""
    workload = manifest.workload(OS.MACOS)
    if not workload or not workload.executable:
        raise BackendError(f"policy {manifest.policy!r} names no program (workload.macos.executable).")
    return macos_path(workload.executable, "workload.macos.executable")


def macos_path(text: str, clause: str) -> str:
    """A path with the system's own links resolved. Refuses dot components and characters that are no text."""
    if not text.startswith("/") or _UNSPEAKABLE.search(text):
        raise BackendError(f"{text!r} is no absolute path of printable characters ({clause}): write one.")
    parts = [part for part in text.split("/") if part]
    if "." in parts or ".." in parts:
        raise BackendError(f"{text!r} has '.' or '..' in it ({clause}): write the path without.")
    return followed("/" + "/".join(parts), OS.MACOS)


def needs_packet_filter(clause: Connect) -> bool:
    """Whether the peer is made of addresses that only the packet filter can tell apart."""
    return clause.peer.kind is PeerKind.ADDRESSES and not set(clause.peer.addresses) <= LOOPBACK


def internet_versions(manifest: Manifest) -> list[int]:
    named = manifest.of(Families)
    return [version for version in (4, 6) if all(f"ipv{version}" in clause.names for clause in named)]
