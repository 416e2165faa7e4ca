# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the emitters of the systemd backend fill: the drop-in, the verdicts and the read-backs of one policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from ..policy.model import OS, Clause, Manifest, PathRef, Privilege
from .base import BackendError, Probe, ReadBack, Status, Verdict
from .linux_host import Host
from .linux_tables import UNDOING
from .systemd_text import UnitText, quote

C = TypeVar("C", bound=Clause)


class Plan:
    """One policy on one host while it is compiled."""

    def __init__(self, manifest: Manifest, host: Host) -> None:
        self.manifest = manifest
        self.host = host
        self.text = UnitText(f"Managed by Bulkhead: policy {manifest.policy}", dropin=True)
        self.verdicts: dict[str, Verdict] = {}
        self.readbacks: list[ReadBack] = []
        self.probes: list[Probe] = []
        self.holes: list[tuple[str, str]] = []
        self.loose: list[tuple[str, str]] = []

    def one(self, kind: type[C]) -> C | None:
        """The setting of this kind, or None where the policy has none."""
        found = self.manifest.of(kind)
        return found[0] if found else None

    def granted(self, kind: type[Any], attribute: str = "name") -> set[str]:
        return {str(getattr(clause, attribute)) for clause in self.manifest.of(kind)}

    def undone_by(self, *privileges: str) -> list[str]:
        """What those of these privileges that the policy grants can undo, for ``weigh``."""
        granted = self.granted(Privilege)
        return [f"{name} {UNDOING[name]}" for name in privileges if name in granted]

    def enforce(self, clause: Clause, *mechanisms: str, detail: str = "") -> None:
        self._say(clause, Status.ENFORCED, mechanisms, detail)

    def partial(self, clause: Clause, *mechanisms: str, detail: str) -> None:
        self._say(clause, Status.PARTIAL, mechanisms, detail)

    def refuse(self, clause: Clause, detail: str) -> None:
        self._say(clause, Status.REFUSED, (), detail)

    def weigh(self, clause: Clause, *mechanisms: str, missing: list[str]) -> None:
        """Enforced where nothing is missing, else partial with all that is."""
        if missing:
            self.partial(clause, *mechanisms, detail="; ".join(missing))
        else:
            self.enforce(clause, *mechanisms)

    def hole(self, kind: type[C], detail: str) -> None:
        """What undoes the closure ``kind`` whichever mechanism carries it: no backend may call it enforced then."""
        self.holes += [(clause.id, detail) for clause in self.manifest.of(kind)]

    def _say(self, clause: Clause, status: Status, mechanisms: tuple[str, ...], detail: str) -> None:
        named = tuple(f"systemd {name}" for name in mechanisms)
        self.verdicts[clause.id] = Verdict(clause.id, status, named, detail)

    @contextmanager
    def refusing(self, clause: Clause) -> Iterator[None]:
        """A value that a unit file cannot carry refuses its clause, not the whole policy."""
        try:
            yield
        except BackendError as error:
            self.refuse(clause, str(error))

    def each(self, kind: type[C], emit: Callable[[C], object]) -> None:
        for clause in self.manifest.of(kind):
            with self.refusing(clause):
                emit(clause)

    def path(self, clause: Clause, ref: PathRef) -> str:
        """The clause's path on Linux. Raises BackendError for a pattern: systemd's mounts have none."""
        path = ref.on(OS.LINUX)
        if path is None:
            raise AssertionError(f"{clause.id} has no path on linux and should not have come here")
        if ref.glob:
            raise BackendError(
                f"systemd's path lists take no patterns ('{path}', {clause.id}): name the directory that "
                "holds the files."
            )
        if ":" in path or "\\" in path:
            raise BackendError(
                f"systemd splits paths at ':' and unescapes '\\' ('{path}', {clause.id}): rename the path."
            )
        quote(path, clause.id)
        return self.host.real(path)

    def property(self, clause: Clause | str, key: str, value: str, relation: str = "equals") -> None:
        """``systemctl show -p key`` of the unit must read so."""
        name = clause if isinstance(clause, str) else clause.id
        self.readbacks.append(ReadBack(name, "unit_property", key, value, relation, self.host.unit))

    def process(self, clause: Clause | str, key: str, value: str, relation: str = "equals") -> None:
        """A field of /proc/MAINPID/status: what the running process has, whatever the unit files say."""
        name = clause if isinstance(clause, str) else clause.id
        self.readbacks.append(ReadBack(name, "process_status", key, value, relation, self.host.unit))

    def mount(self, clause: Clause | str, path: str, option: str) -> None:
        name = clause if isinstance(clause, str) else clause.id
        self.readbacks.append(ReadBack(name, "mount_option", path, option, "contains", self.host.unit))

    def probe(self, clause: Clause, action: str, target: str, why: str) -> None:
        """A denial to witness through the unit's own confinement."""
        self.probes.append(
            Probe(f"{clause.id} {action} {target}".strip(), clause.id, action, target, "deny", why)
        )
