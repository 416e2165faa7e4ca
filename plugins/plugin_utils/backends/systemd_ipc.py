# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipc.*, devices, environment.* and secrets."""

from __future__ import annotations

import re

from ..policy.model import (
    OS,
    BusClosure,
    BusName,
    Device,
    DeviceClosure,
    EnvironmentClosure,
    EnvironmentSet,
    Families,
    Secret,
    SharedMemory,
    UnixSocket,
    UnixSocketClosure,
    Write,
)
from .base import BackendError
from .linux_names import within
from .linux_network import offline
from .linux_tables import BUS, PLAIN_DEVICES
from .systemd_plan import Plan
from .systemd_text import quote

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_.-]{1,255}")


def emit(plan: Plan) -> None:
    """Sockets, bus, shared memory, devices, environment and secrets of the policy."""
    _unix(plan)
    _bus(plan)
    plan.each(SharedMemory, lambda clause: _shared_memory(plan, clause))
    _devices(plan)
    plan.each(EnvironmentClosure, lambda clause: _environment(plan, clause))
    plan.each(EnvironmentSet, lambda clause: _variable(plan, clause))
    plan.each(Secret, lambda clause: _secret(plan, clause))


def _unix(plan: Plan) -> None:
    families = plan.one(Families)
    none = families is not None and "unix" not in families.names
    for clause in plan.manifest.of(UnixSocket):
        with plan.refusing(clause):
            plan.path(clause, clause.path)
            if none:
                raise BackendError(
                    f"network.families has no 'unix', so {clause.id} could not be used: add it there."
                )
            plan.enforce(clause, "InaccessiblePaths")
    closure = plan.one(UnixSocketClosure)
    if closure is None:
        return
    if none:
        plan.enforce(closure, "RestrictAddressFamilies")
        return
    plan.partial(
        closure,
        "InaccessiblePaths",
        detail="sockets through which one acts as root (container engines, snapd, systemd) and those of well-known "
        # Abstract sockets belong to a network namespace (unix(7)), and without a network the unit has its own.
        f"services are hidden; {'' if offline(plan.manifest) else 'abstract sockets and '}other path sockets that file "
        "permissions allow can be reached, and whoever is there may act for the service or hand in a socket of its "
        "own, which no rule of this policy matches",
    )


def _bus(plan: Plan) -> None:
    names = plan.manifest.of(BusName)
    for clause in names:
        plan.refuse(
            clause,
            f"systemd cannot filter the bus by name ('{clause.name}'): the whole bus would be open; waive "
            "it or drop it",
        )
    closure = plan.one(BusClosure)
    if closure is None:
        return
    if names:
        plan.refuse(closure, "systemd cannot filter the bus by name, and the policy grants names on it")
    elif plan.host.type == "dbus":
        plan.refuse(
            closure, "the unit has Type=dbus and does not start without the bus, which systemd cannot filter"
        )
    else:
        granted = [clause.path for clause in (*plan.manifest.of(Write), *plan.manifest.of(UnixSocket))]
        paths = [plan.host.real(path) for ref in granted if not ref.glob and (path := ref.on(OS.LINUX))]
        paths += [path for _unused, path in plan.host.directories()]
        opened = [path for path in paths if within(BUS, path) or within(path, BUS)]
        if opened:
            plan.partial(
                closure, "none", detail=f"the whole system bus is open, because {opened[0]} can be used"
            )
            return
        plan.enforce(closure, "InaccessiblePaths", detail="the system bus's directory is hidden as a whole")


def _shared_memory(plan: Plan, clause: SharedMemory) -> None:
    if not clause.private:
        plan.text.set("PrivateIPC", "no", clause.id)
        plan.partial(
            clause, "PrivateIPC", detail="System V and POSIX queues are shared; /dev/shm stays the unit's own"
        )
        return
    if plan.host.systemd < 248:
        # /dev/shm is a file system of the unit's own in any case; System V memory has no directive before 248.
        plan.partial(
            clause,
            "TemporaryFileSystem",
            detail=f"System V memory stays shared: PrivateIPC= begins with systemd 248, here is {plan.host.systemd}",
        )
        return
    plan.text.set("PrivateIPC", "yes", clause.id)
    plan.property(clause, "PrivateIPC", "yes")
    plan.enforce(clause, "PrivateIPC", "TemporaryFileSystem")


def _devices(plan: Plan) -> None:
    closure = plan.one(DeviceClosure)
    name = closure.id if closure else DeviceClosure.section
    text = plan.text
    text.set("DevicePolicy", "closed", name)
    special = False
    for clause in plan.manifest.of(Device):
        with plan.refusing(clause):
            path = plan.path(clause, clause.path)
            if not path.startswith("/dev/"):
                raise BackendError(f"'{path}' is no device node ({clause.id}): write a path below /dev.")
            if path not in PLAIN_DEVICES:
                special = True
                text.add("DeviceAllow", f"{quote(path, clause.id)} rw", clause.id)
            plan.enforce(clause, "DeviceAllow")
    # A private /dev holds only the plain nodes; with others granted the host's own /dev stays, closed by cgroup.
    text.set("PrivateDevices", "no" if special else "yes", name)
    if not special:
        text.clear("DeviceAllow", name)
    else:
        # ProtectSystem=strict leaves /dev writable: root could put files and links there. Nodes stay usable.
        text.add("ReadOnlyPaths", "/dev", name)
        if plan.host.bars_programs:
            text.add("NoExecPaths", "/dev", name)
        plan.mount(name, "/dev", "ro")
    plan.property(name, "DevicePolicy", "closed")
    plan.property(name, "PrivateDevices", "no" if special else "yes")
    if closure is None:
        return
    missing = []
    if not plan.host.filters_devices:
        missing.append("this container's systemd cannot filter devices (DevicePolicy= does nothing)")
        if special:
            plan.refuse(closure, f"{missing[0]}, and the granted devices need the host's own /dev")
            return
    plan.weigh(closure, "PrivateDevices", "DevicePolicy", missing=missing)


def _environment(plan: Plan, clause: EnvironmentClosure) -> None:
    for name in clause.names:
        if not _VARIABLE.fullmatch(name):
            raise BackendError(
                f"'{name}' is no name of an environment variable ({clause.id}): letters, digits and '_'."
            )
        plan.text.add("PassEnvironment", name, clause.id)
    if not clause.names:
        plan.text.clear("PassEnvironment", clause.id)
    own = [key for key in ("Environment", "EnvironmentFile") if plan.host.values(key)]
    missing = [f"what the unit itself sets by {key}= stays" for key in own]
    # No directive takes away what is not known by name (UnsetEnvironment=); the manager's block can grow at any time.
    missing.append(
        "variables that the administrator sets for all services stay (DefaultEnvironment=, systemctl set-environment)"
    )
    plan.weigh(clause, "PassEnvironment", missing=missing)


def _variable(plan: Plan, clause: EnvironmentSet) -> None:
    if not _VARIABLE.fullmatch(clause.name):
        raise BackendError(
            f"'{clause.name}' is no name of an environment variable ({clause.id}): letters, digits and '_'."
        )
    plan.text.add("Environment", quote(f"{clause.name}={clause.value}", clause.id), clause.id)
    files = plan.host.vendor("EnvironmentFile")
    # systemd.exec(5): what such a file sets wins over Environment=.
    missing = [f"{name.lstrip('-')} may set it to something else (EnvironmentFile=)" for name in files]
    plan.weigh(clause, "Environment", missing=missing)


def _secret(plan: Plan, clause: Secret) -> None:
    if plan.host.systemd < 247:
        raise BackendError(
            f"LoadCredential= begins with systemd 247, this host has {plan.host.systemd} ({clause.id})."
        )
    if not _CREDENTIAL.fullmatch(clause.name):
        raise BackendError(
            f"'{clause.name}' cannot name a credential ({clause.id}): letters, digits, '_', '.' and '-'."
        )
    source = plan.path(clause, clause.source)
    plan.text.add("LoadCredential", f"{clause.name}:{quote(source, clause.id, bare=True)}", clause.id)
    told = f"read it at $CREDENTIALS_DIRECTORY/{clause.name}"
    rotation = [key for key in ("rotate_after", "rotate_with") if getattr(clause, key)]
    if rotation:
        said = (
            f"{' and '.join(rotation)}: for people to read, nothing here replaces a secret that has grown old"
        )
        plan.partial(clause, "LoadCredential", detail=f"{said}; {told}")
    else:
        plan.enforce(clause, "LoadCredential", detail=told)
