# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host can do: the shape of its facts, and recorded reference hosts to compile for without one.

``module_utils/features.py`` collects the facts on the host, ``collect(unit)``, in one call. The shape is fixed
here, for Linux, because the compiler is what reads it. A key that a host cannot answer is left out or False:
the compiler then refuses what depends on it, it never guesses.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, TypedDict, cast

from ..policy.model import OS
from .base import BackendError, Features
from .linux_names import is_instance

REFERENCE = Path(__file__).with_name("reference")


class SystemdFacts(TypedDict, total=False):
    """``version``: 252. ``flags``: {"BPF_FRAMEWORK": False, "SECCOMP": True, ...} from ``systemctl --version``."""

    version: int
    flags: dict[str, bool]


class CgroupFacts(TypedDict, total=False):
    """``mode``: "v2", "hybrid" or "v1". ``controllers``: sorted names of /sys/fs/cgroup/cgroup.controllers.
    ``device_filter``: whether the kernel takes one; asked in containers only, elsewhere True.

    ``legacy``, not with v2: those of blkio, cpu, memory and pids that are mounted as cgroup v1 and can be written to.
    """

    mode: str
    controllers: list[str]
    device_filter: bool
    legacy: list[str]


class NftFacts(TypedDict, total=False):
    """``version``: "1.0.6" or "". ``socket_cgroupv2``: what ``nft -c`` says of ``socket cgroupv2 level 1``."""

    present: bool
    version: str
    socket_cgroupv2: bool


class AppArmorFacts(TypedDict, total=False):
    """``parser``: "3.0.8" or "". ``abis``: sorted file names of /etc/apparmor.d/abi."""

    enabled: bool
    parser: str
    abis: list[str]


class UnitFacts(TypedDict, total=False):
    """The unit as its vendor and the administrator wrote it, **without Bulkhead's own files**.

    Read from the unit's files, not from ``systemctl show``: that would give our own values back, and the
    facts of a confined host would differ from those of a fresh one. ``service`` and ``unit`` are what is left
    of the [Service] and [Unit] sections of the fragment and of others' drop-ins, in systemd's order, with
    continuation lines joined and comments gone: every non-empty assignment appends its raw text, an empty one
    clears the list ({"ExecStart": ["/usr/sbin/nginx -g ..."], "User": []}; a cleared key stays, empty).

    ``names``: all names of the unit, aliases too, sorted.
    ``load_state``: "loaded", "not-found", "masked", ... ``dropins``: others' drop-in paths in order, also type level
    ones (/etc/systemd/system/service.d). ``triggered_by``: units of ``systemctl show -p TriggeredBy``.
    ``interpreters``: for each program of an Exec line that begins with ``#!``, the interpreter's path
    ({"/usr/bin/pg_ctlcluster": "/usr/bin/perl"}; ``/usr/bin/env X`` resolved to X's path).
    ``searched``: where the programs are that an Exec line names without a path ({"mkdir": "/usr/bin/mkdir"}).
    ``account``: what User= names, specifiers expanded. ``static_account``: it, or without User= the account that is
    named like the unit, is there whether the unit runs or not: DynamicUser= makes none then.
    ``profile``: name of the loaded AppArmor profile that the kernel puts on the unit's own program by itself.
    """

    name: str
    names: list[str]
    load_state: str
    fragment: str
    dropins: list[str]
    service: dict[str, list[str]]
    unit: dict[str, list[str]]
    triggered_by: list[str]
    interpreters: dict[str, str]
    searched: dict[str, str]
    account: str
    static_account: bool
    profile: str


class LinuxFeatures(TypedDict, total=False):
    """Everything that the Linux backends read. ``virt``: output of systemd-detect-virt ("none", "kvm",
    "systemd-nspawn"); ``container``: True where it names a container. ``lsm``: names of
    /sys/kernel/security/lsm. ``resolvers``: addresses of nameserver lines of /etc/resolv.conf, in order.
    ``cores_to_program``: kernel.core_pattern begins with ``|``.
    ``merged_usr``: /lib is a link into /usr. ``groups``: accounts in privileged groups
    (``module_utils/unit_groups.py``), by name and number; groups without any are left out.
    ``links``: {path: what it really is} for those paths of the policy, and programs of the unit, that go through a
    link. ``distribution``: "Debian 12" for people."""

    os: str
    distribution: str
    systemd: SystemdFacts
    kernel: str
    virt: str
    container: bool
    cgroup: CgroupFacts
    nft: NftFacts
    lsm: list[str]
    apparmor: AppArmorFacts
    cores_to_program: bool
    resolvers: list[str]
    merged_usr: bool
    groups: dict[str, list[str]]
    links: dict[str, str]
    unit: UnitFacts


def fingerprint(data: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of ``data``; must equal ``module_utils/features.py``'s, byte for byte."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def from_data(data: dict[str, Any], name: str = "") -> Features:
    """Features out of what a host's probe returned, or a recorded file. Raises BackendError on an unknown system."""
    try:
        system = OS(data.get("os", ""))
    except ValueError:
        known = ", ".join(os.value for os in OS)
        raise BackendError(
            f"The host's facts name no known system: os is '{data.get('os', '')}', not one of {known}."
        ) from None
    return Features(system, name or _describe(data), data, fingerprint(data))


def reference(name: str, unit: str = "") -> Features:
    """A recorded host by name ("debian12"), for the unit of the policy that is to be compiled for it.

    A record is ``{"name", "source", "features", "units"}``: ``source`` says whether it was read from a real host
    or put together from documentation, ``units`` holds the facts of the units recorded on it. A unit that is
    not among them counts as a plain one of Type=simple. Raises BackendError for a name that is not recorded.
    """
    if name not in names():
        raise BackendError(f"No recorded features named '{name}'. Recorded are: {', '.join(names())}.")
    record = cast(dict[str, Any], json.loads((REFERENCE / f"{name}.json").read_text("utf-8")))
    data = dict(record["features"])
    if data.get("os") == OS.LINUX.value:
        units = record.get("units", {})
        instance = next((name for name in sorted(units) if is_instance(name, unit)), unit)
        data["unit"] = units.get(instance) or _plain_unit(unit)
    return from_data(data, record.get("name", name))


def _plain_unit(name: str) -> UnitFacts:
    return UnitFacts(
        name=name,
        names=[name],
        load_state="loaded",
        fragment=f"/etc/systemd/system/{name}",
        dropins=[],
        service={},
        unit={},
        triggered_by=[],
        interpreters={},
        searched={},
        account="",
        static_account=False,
        profile="",
    )


def names() -> list[str]:
    """Names of all recorded reference hosts, sorted."""
    return sorted(path.stem for path in REFERENCE.glob("*.json"))


def _describe(data: dict[str, Any]) -> str:
    if data.get("os") != OS.LINUX.value:
        return str(data.get("distribution", data.get("os")))
    systemd = data.get("systemd", {}).get("version", "?")
    nft = data.get("nft", {}).get("version") or "none"
    return f"{data.get('distribution', 'Linux')} (systemd {systemd}, nft {nft})"
