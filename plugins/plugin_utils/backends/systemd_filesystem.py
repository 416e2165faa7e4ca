# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""filesystem.* and processes.spawn: mounts of the unit's own (systemd.exec(5), PATHS and SANDBOXING)."""

from __future__ import annotations

from dataclasses import replace

from ..policy.model import (
    OS,
    BusClosure,
    BusName,
    Clause,
    Deny,
    Execute,
    ExecuteClosure,
    PathClause,
    Read,
    ReadClosure,
    Secret,
    Spawn,
    SpawnClosure,
    UnixSocket,
    UnixSocketClosure,
    Write,
    WriteClosure,
)
from .base import BackendError, Status
from .linux_layout import EXECUTE, READ, SOCKET, WRITE, Grant, Hidden, Layout, lay_out, narrowed
from .linux_names import below, within
from .linux_patterns import opened_for
from .linux_tables import (
    BUS,
    DATA_TREES,
    HOME_TREES,
    LIBRARIES,
    PRIVILEGED_SOCKETS,
    SENSITIVE,
    SENSITIVE_OF_ROOT,
    SERVICE_SOCKETS,
)
from .systemd_identity import reached_through_others, reads_as_root, starts_unprivileged
from .systemd_plan import Plan
from .systemd_text import quote
from .systemd_writable import libraries_of, refuse, stays_closed

PRIVATE = ("/tmp", "/var/tmp", "/dev/shm")  # PrivateTmp= and the unit's own /dev/shm
_KINDS: tuple[tuple[type[PathClause], str], ...] = (
    (Read, READ),
    (Write, WRITE),
    (Execute, EXECUTE),
    (Spawn, EXECUTE),
    (UnixSocket, SOCKET),
)
_NARROWED = (
    "inside of a wider grant, this holds for what is there when the unit starts: a file or directory put in its place "
    "while the unit runs has the wider grant's rights until the next restart"
)
_WORLD_READABLE = (
    "data trees (home directories, /srv, /opt, /mnt, /media, /boot, /var/*) and known secrets of /etc are hidden "
    "unless granted; other world-readable files under /etc, /usr, /run and /proc stay readable"
)
_UNTIL_RENAMED = (
    "holds for what is there when the unit starts: a file or directory put in its place by rename while the unit runs "
    "is open until the next restart"
)
_FILE_SUFFIXES = (".pid", ".sock", ".socket", ".lock", ".ctl")


def emit(plan: Plan) -> None:
    """Mounts and verdicts of all path clauses of the policy."""
    grants, opened = _grants(plan)
    hidden = _hidden(plan)
    denied = {tree.path for tree in hidden if not tree.weak}
    grants = [grant for grant in grants if grant.path not in denied]
    layout = lay_out(grants, hidden)
    _write_mounts(plan, layout, grants)
    _write_exec(plan, layout, grants)
    _judge_write(plan, opened)
    _judge_read(plan)
    _judge_narrowed(plan, grants, hidden)


def _grants(plan: Plan) -> tuple[list[Grant], list[str]]:
    """All grants, and what had to be opened wider than the policy says."""
    grants: list[Grant] = []
    opened: list[str] = []
    for kind, word in _KINDS:
        for clause in plan.manifest.of(kind):
            with plan.refusing(clause):
                if clause.path.glob and kind in (Read, Write):
                    _by_pattern(plan, clause, word, grants, opened)
                    continue
                path = plan.path(clause, clause.path)
                if word == WRITE:
                    refuse(plan, clause, path)
                if word in (READ, EXECUTE) and any(within(path, tree) for tree in (*PRIVILEGED_SOCKETS, BUS)):
                    raise BackendError(
                        f"'{path}' is a way to a privileged socket ({clause.id}): name it under ipc instead."
                    )
                if word == WRITE and any(within(path, private) for private in PRIVATE):
                    plan.partial(
                        clause, "PrivateTmp", detail=f"{path} is the unit's own: others' files are not in it"
                    )
                    continue
                if word == WRITE and _made_at_start(plan, path) and starts_unprivileged(plan):
                    _make_before_start(plan, clause, path)
                    grants.append(Grant(path, word, clause.id))
                    continue
                if word == WRITE and _made_at_start(plan, path):
                    # A file that does not exist at start cannot be mounted over: its directory has to be open.
                    opened.append(f"/run is writable as a whole, because {path} is made in it at start")
                    plan.enforce(clause, "ReadWritePaths")
                    plan.loose.append((clause.id, opened[-1]))
                    grants.append(Grant("/run", WRITE, clause.id, reveals=False))
                    continue
                grants.append(Grant(path, word, clause.id))
                if kind is not UnixSocket:
                    stays = stays_closed(plan, path) if word == WRITE else []
                    plan.weigh(clause, *_MECHANISMS[word], missing=stays)
    writable = [grant.path for grant in grants if grant.kind == WRITE]
    closure = _closure_id(plan, WriteClosure)
    for key, path in plan.host.directories():
        if not any(within(path, tree) for tree in writable):
            opened.append(f"{path} is writable, because the unit's own {key}= makes it")
            grants.append(Grant(path, WRITE, closure))
    for path in _programs(plan):
        grants.append(Grant(path, EXECUTE, _closure_id(plan, ExecuteClosure)))
    return grants, opened


def _by_pattern(plan: Plan, clause: PathClause, word: str, grants: list[Grant], opened: list[str]) -> None:
    """The folder of a pattern; that no more than what matches is open in it is AppArmor's."""
    folder = opened_for(plan.manifest, plan.host, clause)
    if not folder:
        plan.enforce(clause, "none", detail="the mounts leave its folder as it is")
        return
    path = plan.path(clause, replace(clause.path, by_os=((OS.LINUX, folder),), glob=False))
    if word == WRITE:
        refuse(plan, clause, path)
        opened.append(f"the mounts make {path} writable as a whole, for the pattern of {clause.id}")
    grants.append(Grant(path, word, clause.id))
    plan.weigh(clause, *_MECHANISMS[word], missing=stays_closed(plan, path) if word == WRITE else [])


_MECHANISMS = {
    READ: ("BindReadOnlyPaths",),
    WRITE: ("ReadWritePaths",),
    EXECUTE: ("BindReadOnlyPaths",),
}


def _closure_id(plan: Plan, kind: type[ReadClosure] | type[WriteClosure] | type[ExecuteClosure]) -> str:
    found = plan.one(kind)
    return found.id if found else kind.section


def _made_at_start(plan: Plan, path: str) -> bool:
    """A file directly below /run: the PID file or a socket of the unit, which appears only once it runs."""
    if not below(path, "/run") or "/" in path[len("/run/") :]:
        return False
    return path.endswith(_FILE_SUFFIXES) or plan.host.pid_file == path


def _make_before_start(plan: Plan, clause: Clause, path: str) -> None:
    """A file in /run for a unit whose account cannot make one there: made for it before each start.

    ExecCondition= comes before the vendor's ExecStartPre= (systemd.service(5)), which may want the file already.
    systemd would remove a PIDFile= after each stop and distrusts one that others own; without it systemd takes the one
    process that its own child left behind as the main one, which is what a forking server's first process is.
    """
    account = plan.text.values("User")[0]
    place = quote(path, clause.id).replace("$", "$$")  # systemd puts variables in, quoted or not
    for line in plan.host.values("ExecCondition"):
        plan.text.add("ExecCondition", line, clause.id)
    # The file stays, as it is a mount of the unit's even for '+': install(1) could not put another in its place.
    plan.text.add("ExecCondition", f"+/usr/bin/touch -- {place}", clause.id)
    plan.text.add("ExecCondition", f"+/usr/bin/chown {account} -- {place}", clause.id)
    if plan.host.pid_file == path:
        plan.text.set("PIDFile", "", clause.id)
    plan.enforce(
        clause,
        "ReadWritePaths",
        "ExecCondition",
        detail="the file is made before each start and given to the account",
    )


def _programs(plan: Plan) -> list[str]:
    """Programs (and their interpreters) that the unit itself names: it does not start without them."""
    found: list[str] = []
    for program in plan.host.programs:
        for path in (program.path, plan.host.interpreter(program.path)):
            if path and path not in found:
                found.append(path)
    return found


def _hidden(plan: Plan) -> list[Hidden]:
    closure = _closure_id(plan, ReadClosure)
    hidden = [Hidden(path, closure) for path in (*DATA_TREES, *HOME_TREES, *SENSITIVE)]
    if reads_as_root(plan):
        hidden += [Hidden(path, closure) for path in SENSITIVE_OF_ROOT]
    sockets = plan.one(UnixSocketClosure)
    if sockets:
        hidden += [Hidden(path, sockets.id, socket=True) for path in PRIVILEGED_SOCKETS]
        hidden += [Hidden(path, sockets.id) for path in SERVICE_SOCKETS]
    bus = plan.one(BusClosure)
    if bus and not plan.manifest.of(BusName):
        hidden.append(Hidden(BUS, bus.id, socket=True))
    for secret in plan.manifest.of(Secret):
        with plan.refusing(secret):
            hidden.append(Hidden(plan.path(secret, secret.source), secret.id))
    for deny in plan.manifest.of(Deny):
        with plan.refusing(deny):
            path = plan.path(deny, deny.path)
            hidden.append(Hidden(path, deny.id, weak=False))
            plan.partial(
                deny,
                "InaccessiblePaths",
                detail="; ".join([_UNTIL_RENAMED, *reached_through_others(plan)]),
            )
    return hidden


def _write_mounts(plan: Plan, layout: Layout, grants: list[Grant]) -> None:
    write = _closure_id(plan, WriteClosure)
    read = _closure_id(plan, ReadClosure)
    text = plan.text
    text.set("ProtectSystem", "strict", write)
    text.set("PrivateTmp", "yes", write)
    plan.property(write, "ProtectSystem", "strict")
    plan.property(write, "PrivateTmp", "yes")
    if "/" not in (grant.path for grant in grants if grant.kind == WRITE):
        plan.mount(write, "/", "ro")
    homes = {path for path, _unused in layout.inaccessible} >= set(HOME_TREES)
    text.set("ProtectHome", "yes" if homes else "no", read)
    plan.property(read, "ProtectHome", "yes" if homes else "no")
    if not homes:
        # ProtectSystem=strict leaves these writable where ProtectHome= does not close them.
        granted = {grant.path for grant in grants if grant.kind == WRITE}
        touched = granted | {path for path, _unused in (*layout.temporary, *layout.inaccessible)}
        for path in HOME_TREES:
            if path not in touched:
                text.add("ReadOnlyPaths", f"-{path}", write)
    for path, clause in layout.inaccessible:
        if not (homes and path in HOME_TREES):
            text.add("InaccessiblePaths", quote(f"-{path}", clause), clause)
    for path, clause in layout.temporary:
        text.add("TemporaryFileSystem", quote(f"{path}:ro,noexec", clause), clause)
    for path, clause in layout.bound:
        text.add("BindPaths", quote(f"-{path}", clause), clause)
    for path, clause in layout.bound_read_only:
        text.add("BindReadOnlyPaths", quote(f"-{path}", clause), clause)
    for path, clause in layout.writable:
        text.add("ReadWritePaths", quote(f"-{path}", clause), clause)
    for path, clause in layout.read_only:
        text.add("ReadOnlyPaths", quote(f"-{path}", clause), clause)
    if not any(grant.kind == WRITE and within("/run", grant.path) for grant in grants):
        # With a /proc of the unit's own, systemd 252 leaves /run writable where other mounts of it lie hidden below
        # one, such as a container's or those of credentials; named by itself it is closed.
        text.add("ReadOnlyPaths", "-/run", write)
        plan.mount(write, "/run", "ro")
    for key in ("ReadWritePaths", "ReadOnlyPaths", "InaccessiblePaths", "BindPaths"):
        if not text.values(key):
            text.clear(key, write)  # what the vendor opens or binds is not the policy's


def _write_exec(plan: Plan, layout: Layout, grants: list[Grant]) -> None:
    closure = _closure_id(plan, ExecuteClosure)
    text = plan.text
    libraries = libraries_of(plan)
    carried = plan.host.bars_programs
    barred = ["/"] if carried else []
    # Every other mount of the unit would be executable again: name each of them once more.
    programs = [(path, closure) for path in libraries]
    programs += [(grant.path, grant.clause) for grant in grants if grant.kind == EXECUTE]
    runnable = {path for path, _unused in programs}
    asked = {grant.path for grant in grants if grant.kind == EXECUTE and grant.clause != closure}
    both = asked & {grant.path for grant in grants if grant.kind == WRITE}
    for path, _unused in (*layout.writable, *layout.bound, *layout.bound_read_only, *layout.read_only):
        if path not in runnable and carried:
            barred.append(f"-{path}")
    for path in (*barred, *(("-/tmp", "-/var/tmp") if carried else ())):
        text.add("NoExecPaths", quote(path, closure), closure)
    text.add("TemporaryFileSystem", "/dev/shm:mode=1777,noexec", closure)
    if carried:
        text.clear("ExecPaths", closure)
    for path, clause in programs:
        if path in both and carried:  # only where the policy asks for it by name, and holds a waiver
            text.add("ExecPaths", quote(f"-{path}", clause), clause)
            continue
        # Not ExecPaths=: its mount is writable again under ProtectSystem=strict, and ReadOnlyPaths= on the same path
        # takes exec away (tried on 252 and 257). A read-only bind of a path onto itself is executable and read-only.
        text.add("BindReadOnlyPaths", quote(f"-{path}", clause), clause)
    for path in LIBRARIES[:1]:
        plan.mount(closure, path, "ro")
    plan.mount(closure, "/dev/shm", "noexec")
    if not carried:
        for kind in (ExecuteClosure, SpawnClosure):
            for found in plan.manifest.of(kind):
                plan.refuse(
                    found,
                    f"NoExecPaths= begins with systemd 248, this host has {plan.host.systemd}",
                )
        return
    plan.mount(closure, "/", "noexec")
    escapes = sorted({program.path for program in plan.host.programs if program.escapes})
    missing = [
        "programs inside of the library directories can be run",
        "a program held in memory only (memfd) can be run",
        *reached_through_others(plan),
    ]  # not one put in place of an allowed one by rename: the mount that allows goes with the old one
    own = _programs(plan)
    if own:
        missing.append(f"the unit's own programs can be run: {', '.join(own)}")
    if escapes:
        missing.append(f"the unit runs {', '.join(escapes)} outside of the sandbox (prefix '+')")
    for kind in (ExecuteClosure, SpawnClosure):
        for found in plan.manifest.of(kind):
            plan.partial(found, "NoExecPaths", "BindReadOnlyPaths", detail="; ".join(missing))


def _judge_write(plan: Plan, opened: list[str]) -> None:
    closure = plan.one(WriteClosure)
    if closure:
        escapes = [program.path for program in plan.host.programs if program.escapes]
        for clause in plan.manifest.of(Write):
            if clause.path.on(OS.LINUX) == "/":
                plan.hole(WriteClosure, f"{clause.id} opens all of the file system")
        missing = [*opened, *(f"{path} runs outside of the sandbox (prefix '+')" for path in escapes)]
        missing += plan.undone_by("administer_system", "configure_network", "trace_processes")
        missing += reached_through_others(plan)
        plan.weigh(closure, "ProtectSystem", "ProtectHome", "PrivateTmp", "ReadWritePaths", missing=missing)


def _judge_read(plan: Plan) -> None:
    closure = plan.one(ReadClosure)
    if closure:
        plan.partial(
            closure,
            "InaccessiblePaths",
            "TemporaryFileSystem",
            "ProtectHome",
            detail="; ".join([_WORLD_READABLE, *reached_through_others(plan)]),
        )


def _judge_narrowed(plan: Plan, grants: list[Grant], hidden: list[Hidden]) -> None:
    """A grant inside of a wider one is a mount, and a mount needs something to be there when the unit starts."""
    private = [
        Grant(plan.host.real(path), WRITE, clause.id)
        for clause in plan.manifest.of(Write)
        if (path := clause.path.on(OS.LINUX)) and not clause.path.glob
        if any(within(plan.host.real(path), tree) for tree in PRIVATE)
    ]
    for grant in narrowed([*grants, *private], hidden):
        said = plan.verdicts.get(grant.clause)
        if said and said.status is Status.ENFORCED:
            mechanisms = (*said.mechanisms, "systemd ReadOnlyPaths", "systemd NoExecPaths")
            plan.verdicts[grant.clause] = replace(said, mechanisms=tuple(dict.fromkeys(mechanisms)))
            plan.loose.append((grant.clause, _NARROWED))
