# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backend is, and what it gives back.

A backend is a module with

* ``NAME`` (``"systemd"``) and ``PLATFORM`` (an ``OS``),
* ``SUPPORT: dict[type[Clause], Support]``, the table that docs and verdicts are printed from,
* ``compile(manifest, features) -> Compilation``: pure, no I/O, same input same bytes.

Whatever a backend cannot carry it leaves out of its verdicts or gives a ``refused`` with the reason;
``compile.py`` joins the verdicts of all backends of a host, so that no clause is ever dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from ..policy.model import OS, Clause, Manifest


class BackendError(Exception):
    """A value that a backend's language cannot carry. The message names the clause and the value."""


class Status(str, Enum):
    """What a host makes of a clause."""

    ENFORCED = "enforced"
    PARTIAL = "partial"
    REFUSED = "refused"
    WAIVED = "waived"


class Grade(str, Enum):
    """How well a backend carries a kind of clause."""

    EXACT = "exact"
    COARSER = "coarser"
    NEVER = "never"


@dataclass(frozen=True)
class Support:
    """One row of a backend's table. ``since`` is the version of the system that first has it."""

    grade: Grade
    mechanism: str
    since: str = ""
    missing: str = ""  # for COARSER and NEVER: what is not enforced, and why


@dataclass(frozen=True)
class Verdict:
    """What one clause is on one host. ``detail``: what is missing, or why it is refused or waived."""

    clause: str
    status: Status
    mechanisms: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True)
class Artifact:
    """One file on the host. ``kind`` picks the validator: systemd_unit, systemd_dropin, nftables,
    tmpfiles, sysusers, apparmor, applocker_xml, powershell_data, sbpl, launchd_plist, pf.

    ``lines``: (line number from 1, clause id) pairs: which clause made which line.
    ``unit``: the unit (service, label) that the file belongs to and that must restart when it changes;
    for kind ``nftables`` the unit that loads it.
    """

    path: str
    content: bytes
    kind: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    unit: str = ""
    lines: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class ReadBack:
    """A fact that must be true on the host for a clause to hold, cheap to read and no probe.

    ``kind`` (Linux): ``unit_property`` (key: property of ``unit`` as ``systemctl show`` prints it),
    ``process_status`` (key: field of /proc/MAINPID/status), ``mount_option`` (key: path, value: option that must
    be set in /proc/MAINPID/mountinfo), ``nft_rule`` (key: table, value: comment that must be there),
    ``cgroup_file`` (key: file below the unit's cgroup, "legacy:memory/FILE" on cgroup v1),
    ``unit_state`` (key: unit, value: active state),
    ``slice_match`` (key: table, value: slice that the table's socket match must still point at),
    ``apparmor_profile`` (key: profile, value: the mode in which the kernel holds it), ``process_label`` (key: apparmor,
    value: the profile of the main process and its mode).
    ``relation``: equals, contains, excludes, at_most; applied to the text read.
    """

    clause: str
    kind: str
    key: str
    value: str
    relation: str = "equals"
    unit: str = ""


@dataclass(frozen=True)
class Probe:
    """An act to try through the unit's own confinement. ``expect`` is ``allow`` or ``deny``.

    ``action``: read, write, execute, listen, connect (examples of the policy), or one of the probes that
    backends add for closures: socket_family, syscall, mmap_wx, setuid_exec.
    ``target``: a path, ``tcp/80``, ``tcp/127.0.0.1:80``, a family, a call.
    ``control`` names the positive control (an action and target that must succeed) that makes a denial count.
    """

    id: str
    clause: str
    action: str
    target: str
    expect: str
    why: str = ""


@dataclass(frozen=True)
class Compilation:
    """What one backend makes of a manifest for one host."""

    artifacts: tuple[Artifact, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    readbacks: tuple[ReadBack, ...] = ()
    probes: tuple[Probe, ...] = ()
    units: tuple[str, ...] = ()  # units of our own, to be started before the application
    # (clause id, why): what undoes a clause whichever backend carries it. With one, none counts as enforced.
    holes: tuple[tuple[str, str], ...] = ()
    # (clause id, why): what this backend's own means open beyond a grant; another one that enforces it closes that.
    loose: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Features:
    """What a host can do. ``data`` is the plain JSON that the host's probe returned (see
    ``module_utils/features.py``); its ``fingerprint`` is the SHA-256 of the canonical JSON of ``data``."""

    os: OS
    name: str  # for people: "Debian 12 (systemd 252, nft 1.0.6)"
    data: dict[str, Any] = field(default_factory=dict, hash=False)
    fingerprint: str = ""


class Backend(Protocol):
    """The shape of a backend module, for the registry."""

    NAME: str
    PLATFORM: OS
    SUPPORT: dict[type[Clause], Support]

    def compile(self, manifest: Manifest, features: Features) -> Compilation: ...
