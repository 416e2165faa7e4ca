# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Components: child profiles that a program changes to, on top of the policy's own.

With NoNewPrivileges the kernel refuses every change of profile but one to a stack that holds the profile before
(apparmor_bprm_creds_for_exec() of security/apparmor/domain.c, since Linux 4.17). So a component runs under both at
once, ``POLICY//&POLICY//COMPONENT``, and each of the two has to allow what it does: it can never do more than the
service. The stack is written as the name of the transition; ``cx -> &CHILD`` would be looked up under a wrong name
(parser 3.0), and ``ix -> &CHILD`` would take a vendor's profile for the program as its base.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..policy import model as m
from ..policy.model import OS, Manifest
from .apparmor_files import Files
from .apparmor_narrower import not_carried, not_given
from .apparmor_rights import Rights
from .apparmor_table import SUPPORT
from .apparmor_text import ProfileText, parts_of
from .base import BackendError, Status, Verdict
from .linux_host import Host
from .linux_names import child_profile_name, plain, profile_name

_STACKED = (
    "its processes stay under the service's profile too: NoNewPrivileges allows no other change of profile"
)


@dataclass(frozen=True)
class Child:
    """One component that the service can start. ``program``: its real name."""

    clause: m.Component
    profile: str
    program: str
    files: Files


class Components:
    """The child profiles of one policy, and what is said of them."""

    def __init__(self, manifest: Manifest, host: Host, files: Files, flags: tuple[str, ...]) -> None:
        self.manifest, self.host, self.files, self.flags = manifest, host, files, flags
        self.refused: dict[str, str] = {}
        self.carried: list[Child] = []
        taken: dict[str, str] = {}
        for component in manifest.of(m.Component):
            try:
                child = self._child(component)
                first = taken.setdefault(child.program, component.id)
                if first != component.id:
                    raise BackendError(
                        f"'{child.program}' is the program of {first} already ({component.id}): name it once."
                    )
                self.carried.append(child)
            except BackendError as error:
                self.refused[component.id] = str(error)

    @property
    def profiles(self) -> list[str]:
        return [child.profile for child in self.carried]

    def _child(self, component: m.Component) -> Child:
        path = component.program(OS.LINUX)
        if not path:
            raise BackendError(
                f"the policy '{component.policy}' names no program on Linux, by which the component could be told "
                f"({component.id}): add workload.linux.executable to it."
            )
        named = plain(path)
        program = self.host.resolved(named)
        if not self.files.runs(program):
            raise BackendError(
                f"the service may not start '{path}' ({component.id}): add it to processes.spawn. What systemd "
                f"starts as a unit of its own is no component: apply the policy '{component.policy}' to it."
            )
        inside = replace(self.manifest, clauses=component.clauses)
        profile = child_profile_name(self.manifest.policy, component.name)
        return Child(component, profile, program, Files(inside, self.host, named))

    def write(self, text: ProfileText) -> None:
        own = profile_name(self.manifest.policy)
        for child in self.carried:
            name = child.clause.id
            text.change(parts_of(child.program, name), f"{own}//&{child.profile}", name)
            inside = ProfileText(child.clause.name, "", self.flags)
            Rights(child.files.manifest, self.host, [child.profile]).write(inside)
            child.files.write(inside)
            text.child(inside, name)

    def verdict(self, component: m.Component) -> Verdict:
        if component.id in self.refused:
            raise BackendError(self.refused[component.id])
        child = next(one for one in self.carried if one.clause is component)
        missing = [*self._missing(child), *self.files.undone()]
        status = Status.PARTIAL if missing else Status.ENFORCED
        return Verdict(component.id, status, ("apparmor child profile",), "; ".join([*missing, _STACKED]))

    def _missing(self, child: Child) -> Iterator[str]:
        """What the component's own policy says and its profile does not hold, or the service's does not give."""
        denials = child.files.manifest.of(m.Deny)
        lost = {*child.files.refused, *child.files.rules.lost} - {clause.id for clause in denials}
        closed = sorted({*lost, *not_given(self.manifest.clauses, child.clause.clauses)})
        if closed:
            yield f"not given, because the service itself may not or no rule carries it: {', '.join(closed)}"
        for denial in denials:
            try:
                held = child.files.deny(denial)
            except BackendError as error:
                yield f"not denied: {error}"
                continue
            if held.status is not Status.ENFORCED:
                yield f"{denial.id}: {held.detail}"
        wide = not_carried(self.manifest.clauses, child.clause.clauses, SUPPORT)
        if wide:
            yield f"no narrower than the service has it: {', '.join(wide)}"
