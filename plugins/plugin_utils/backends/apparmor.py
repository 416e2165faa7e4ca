# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The AppArmor backend: one profile per policy, beside systemd's mounts (apparmor.d(5)).

Mounts hold for what is there when the unit starts; a profile goes by the name that is opened, so what is put in a
path's place by rename meets the same rules, and it sees a program that is held in memory or that ld.so starts. It can
only take away: what the mounts hide stays hidden. With NoNewPrivileges a program keeps the profile (``ix``), whatever
starts it; the program of a component gets one of its own on top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..policy import model as m
from ..policy.model import OS, Manifest, Mode
from .apparmor_components import Components
from .apparmor_files import Files
from .apparmor_rights import Rights
from .apparmor_table import SUPPORT
from .apparmor_text import ProfileText
from .apparmor_unit import loader
from .base import Artifact, BackendError, Compilation, Features, ReadBack, Status, Verdict
from .linux_host import Host
from .linux_names import profile_name, profile_path, profile_unit

__all__ = ["NAME", "PLATFORM", "SUPPORT", "compile"]

NAME = "apparmor"
PLATFORM = OS.LINUX
_FLAGS = {
    # A file that was removed while it is open goes by the name that it had; without it O_TMPFILE fails. Attached: the
    # /dev/null that systemd opens as standard input is not in the unit's own /dev; it goes by the name that it has
    # there, and without it the service may not even ask what its standard input is, in complain mode neither.
    Mode.ENFORCE: ("attach_disconnected", "mediate_deleted"),
    Mode.AUDIT: ("complain", "attach_disconnected", "mediate_deleted"),
}
_MODE = {Mode.ENFORCE: "enforce", Mode.AUDIT: "complain"}


def compile(manifest: Manifest, features: Features) -> Compilation:
    """The profile and the unit that loads it; nothing where the host cannot confine by one."""
    host = Host(manifest, features)
    if not host.apparmor:
        why = f"a component needs a profile of AppArmor, and this host has none: {host.no_apparmor}"
        refused = (Verdict(one.id, Status.REFUSED, (), why) for one in manifest.of(m.Component))
        return Compilation(verdicts=tuple(refused))
    policy = manifest.policy
    closures = manifest.of(m.ReadClosure)
    closure = closures[0].id if closures else m.ReadClosure.section
    text = ProfileText(profile_name(policy), f"Managed by Bulkhead: policy {policy}", _FLAGS[manifest.mode])
    files = Files(manifest, host)
    components = Components(manifest, host, files, _FLAGS[manifest.mode])
    rights = Rights(manifest, host, components.profiles)
    verdicts = _verdicts(manifest, files, rights, components)
    rights.write(text)
    files.write(text)
    components.write(text)
    content, lines = text.render()
    unit = profile_unit(policy)
    label = f"{profile_name(policy)} ({_MODE[manifest.mode]})"
    readbacks = [
        ReadBack(closure, "unit_state", unit, "active", unit=unit),
        ReadBack(closure, "apparmor_profile", profile_name(policy), _MODE[manifest.mode], unit=host.unit),
        *(
            ReadBack(one.clause.id, "apparmor_profile", one.profile, _MODE[manifest.mode], unit=host.unit)
            for one in components.carried
        ),
    ]
    if not any(program.escapes and program.key == "ExecStart" for program in host.programs):
        readbacks.append(ReadBack(closure, "process_label", "apparmor", label, unit=host.unit))
    return Compilation(
        artifacts=(
            Artifact(profile_path(policy), content, "apparmor", unit=unit, lines=lines),
            loader(policy, host.unit, closure),
        ),
        verdicts=verdicts,
        readbacks=tuple(readbacks),
        units=(unit,),
    )


Judge = Callable[[Any], Verdict | None]


def _verdicts(
    manifest: Manifest, files: Files, rights: Rights, components: Components
) -> tuple[Verdict, ...]:
    """One verdict for each clause that the profile speaks for. None: what is true of it another backend says."""
    judges: dict[type[m.Clause], Judge] = {
        m.PrivilegeClosure: rights.privileges,
        m.Privilege: rights.privilege,
        m.ReadClosure: files.read_closure,
        m.Read: files.read,
        m.WriteClosure: files.write_closure,
        m.Write: files.write_grant,
        m.ExecuteClosure: files.execute_closure,
        m.Execute: files.execute,
        m.Deny: files.deny,
        m.SpawnClosure: files.execute_closure,
        m.Spawn: files.execute,
        m.Families: rights.families,
        m.DeviceClosure: files.device_closure,
        m.Device: files.device,
        m.Component: components.verdict,
    }
    found = []
    for clause in manifest.clauses:
        if type(clause) not in SUPPORT:
            continue
        try:
            verdict = judges[type(clause)](clause)
        except BackendError as error:
            verdict = Verdict(clause.id, Status.REFUSED, (), str(error))
        if verdict is not None and manifest.mode is Mode.AUDIT and verdict.status is not Status.REFUSED:
            said = "; ".join(("audit: logged by the profile, not denied", verdict.detail)).rstrip("; ")
            verdict = Verdict(verdict.clause, Status.PARTIAL, verdict.mechanisms, said)
        if verdict is not None:
            found.append(verdict)
    return tuple(sorted(found, key=lambda verdict: verdict.clause))
