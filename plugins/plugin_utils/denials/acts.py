# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was denied, as the controller sees it: one row of the host's answer with a type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import calls

FILE_ACTS = ("read", "write", "execute")


@dataclass(frozen=True)
class Act:
    """``kind``: read, write, execute, connect, listen, packet, socket, call, privilege, memory, processes or other.

    ``subject`` is what it was done to, by kind: a path, a port (``tcp/80``), a family, a call, a capability. ``label``:
    the clause that the packet filter's own rule names. ``creates``: the file was not there, or was to go.
    """

    mechanism: str
    kind: str
    subject: str = ""
    address: str = ""
    label: str = ""
    detail: str = ""
    enforced: bool = True
    creates: bool = False
    count: int = 1
    component: str = ""  # whose profile denied it, where it was not the service's own

    def words(self) -> str:
        """The act for people: ``connect 192.0.2.7:443 (tcp)``."""
        if self.kind == "connect" and self.address:
            protocol, _slash, port = self.subject.partition("/")
            shown = f"[{self.address}]" if ":" in self.address else self.address
            return f"connect {shown}:{port} ({protocol})" if port else f"connect {shown} ({protocol})"
        if self.kind == "call":
            return f"call {self.subject}()" if self.subject.isidentifier() else f"call {self.subject}"
        text = {
            "packet": "packets that the log, held to 5 lines a second, did not tell",
            "memory": "use more memory than the limit",
            "processes": "start more processes than the limit",
            "other": f"{self.detail} {self.subject}".strip(),
        }
        return text.get(self.kind) or f"{self.kind} {self.subject}".strip()


def of(row: Mapping[str, Any]) -> Act:
    """One row of ``denials`` as the module on the host gives it."""
    kind, mechanism = str(row.get("act", "other")), str(row.get("mechanism", ""))
    subject, address, detail = "", "", str(row.get("reason") or "")
    if kind in FILE_ACTS:
        subject = str(row.get("path", ""))
    elif kind in ("connect", "listen"):
        port = row.get("port")
        subject = str(row.get("protocol", "")) + ("" if port is None else f"/{port}")
        address = str(row.get("address", ""))
    elif kind == "socket":
        subject, detail = str(row.get("family", "")), str(row.get("socket", ""))
    elif kind == "privilege":
        subject = str(row.get("capability", ""))
    elif kind == "call":
        arch, number = str(row.get("arch", "")), int(row.get("call", -1))
        foreign = arch not in calls.ARCHITECTURES
        subject = calls.name(arch, number) or f"number {number}" + (
            f" of architecture {arch}" if foreign else ""
        )
        detail = str(row.get("action", ""))
    elif kind == "other":
        subject, detail = str(row.get("path", "")), str(row.get("operation", ""))
    return Act(
        mechanism,
        kind,
        subject,
        address,
        str(row.get("label", "")),
        detail,
        bool(row.get("enforced", True)),
        bool(row.get("creates") or row.get("removes")),
        int(row.get("count", 1)),
        str(row.get("child") or "").partition("//")[0],
    )
