# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host as ``machine`` sees it, with everybody who may act on it: two runs, their confirmations, the guard, time,
kills, reboots. ``moves`` gives every world that can come next; who decides asks ``machine.step``, nobody else.

Digests are letters: the host has A, run 1 (epoch 1) wants B, run 2 (epoch 2) wants C, run 3 (epoch 3) wants B as well
and adopts what run 1 left pending: then the way back has another nonce than the record, if he dies in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ansible_collections.bulkhead.fleet.plugins.module_utils import machine

WANTED = {1: "B", 2: "C", 3: "B"}
FINAL = {"confirmed": "confirmed", "reverted": "reverted", "abandoned": "reverted"}


class Record(NamedTuple):
    phase: str
    nonce: int
    origin: str
    to: str
    epoch: int
    in_time: bool = True
    hold: bool = False


class Process(NamedTuple):
    """``todo``: effects that are left; ``ours``: the nonce that it means, 0 for a guard that has not seen one yet;
    ``then``: event that follows, if any."""

    kind: str  # run, child (of a killed run: it goes back), confirm, guard
    ours: int
    todo: tuple[str, ...] = ()
    then: str = ""
    holds: bool = False


class World(NamedTuple):
    active: str = "A"
    files: str = "A"
    record: Record | None = None
    finals: tuple[tuple[str, int, int], ...] = ()  # (name of the record, nonce, epoch)
    outcomes: tuple[tuple[int, str], ...] = ()  # history: what ever became of a nonce
    told: tuple[tuple[int, str], ...] = ()  # history: what a controller was told
    seen: int = 0  # history: the highest epoch ever written
    processes: tuple[Process, ...] = ()
    waiting: tuple[int, ...] = (1, 2)  # runs that have not come yet
    pending_confirms: tuple[tuple[int, bool], ...] = ()
    kills: int = 0
    reboots: int = 0
    held_files: str = ""  # what was confirmed last
    way: int = 0  # the nonce in the way back


class Broken(AssertionError):
    """An invariant does not hold."""


def epoch(world: World) -> int:
    known = [entry[2] for entry in world.finals] + ([world.record.epoch] if world.record else [])
    return max(known, default=0)


def view(
    world: World, ours: int, fenced: bool = False, held: bool = False, lease: bool = False
) -> machine.State:
    last = next(
        (FINAL[name] for name, nonce, _e in world.finals if nonce == ours and name == "confirmed"), ""
    )
    last = last or next((FINAL[name] for name, nonce, _e in world.finals if nonce == ours), "")
    record = world.record
    if record is None:
        return machine.NOTHING._replace(last=last, fenced=fenced, held=held)
    return machine.State(
        record.phase, record.nonce == ours, record.in_time, world.active != record.origin, True, held, fenced,
        False, lease, record.hold, last,
    )  # fmt: skip


def locked(world: World) -> bool:
    return any(process.holds for process in world.processes)


def replaced(world: World, old: Process, new: Process | None, **changes: object) -> World:
    others = tuple(process for process in world.processes if process is not old)
    return world._replace(processes=others + ((new,) if new else ()), **changes)  # type: ignore[arg-type]


def moves(world: World, kills: int, reboots: int) -> Iterator[tuple[str, World]]:
    for run in world.waiting:
        yield (
            f"run {run} comes",
            world._replace(
                waiting=tuple(n for n in world.waiting if n != run),
                processes=(*world.processes, Process("run", run)),
            ),
        )
    for nonce, lease in world.pending_confirms:
        left = tuple(pair for pair in world.pending_confirms if pair != (nonce, lease))
        yield (
            f"confirm {nonce} comes",
            world._replace(
                pending_confirms=left,
                processes=(*world.processes, Process("confirm", nonce, then="lease" if lease else "")),
            ),
        )
    if world.record and world.record.in_time and world.record.phase != machine.REVERTING:
        yield "time", world._replace(record=world.record._replace(in_time=False))
    for process in world.processes:
        for name, following in act(world, process):
            yield f"{process.kind} {process.ours}: {name}", following
        if world.kills < kills:
            yield f"kill {process.kind} {process.ours}", killed(world, process)
    if world.reboots < reboots:
        record = world.record and world.record._replace(in_time=False)
        guard = (Process("guard", mind(world)),) if record else ()
        yield "reboot", world._replace(reboots=world.reboots + 1, processes=guard, record=record)


def mind(world: World) -> int:
    """The nonce that a guard means which starts now: that of the record, whatever the way back has."""
    return world.record.nonce if world.record else 0


def killed(world: World, process: Process) -> World:
    world = world._replace(kills=world.kills + 1)
    if process.kind == "guard":  # systemd starts it again
        return replaced(world, process, Process("guard", mind(world)))
    if process.kind == "run" and process.then in ("again", "end") and process.todo:
        # What it had told the guard's program to do goes on, with the lock.
        return replaced(world, process, Process("child", process.ours, process.todo, "", True))
    return replaced(world, process, None)


def act(world: World, process: Process) -> Iterator[tuple[str, World]]:
    if process.todo:
        yield from effect(world, process)
    elif process.kind == "guard":
        yield from guard_looks(world, process)
    elif not process.holds:
        if not locked(world):
            yield "lock", replaced(world, process, process._replace(holds=True))
    elif process.kind == "run":
        yield from run_decides(world, process)
    elif process.kind == "confirm":
        step = machine.step(view(world, process.ours, lease=process.then == "lease"), "confirm")
        yield (
            step.answer,
            replaced(world, process, process._replace(todo=(*step.effects, f"tell {step.answer}"))),
        )
    else:
        yield "ends", replaced(world, process, None)


def run_decides(world: World, process: Process) -> Iterator[tuple[str, World]]:
    run = process.ours
    if process.then == "ARMED":  # tested: both is possible
        for event in ("healthy", "failed"):
            step = machine.step(machine.NOTHING._replace(phase=machine.ARMED), event)
            todo, then = (step.effects, "end") if event == "healthy" else (back(world), "end")
            yield event, replaced(world, process, process._replace(todo=(*todo, "leave"), then=then))
        return
    record = world.record
    same = record is not None and record.to == WANTED[run] == world.active == world.files
    step = machine.step(view(world, run, fenced=run < epoch(world))._replace(same=same), "apply")
    if step.answer == "refused":
        yield "refused", replaced(world, process, None)
    elif step.answer == "look again":
        note = tuple(name for name in step.effects if name == "record epoch")
        yield "settles", replaced(world, process, process._replace(todo=note + ("revert",), then="again"))
    elif step.answer == "go on":
        if run < world.seen:
            raise Broken(f"run of epoch {run} acts after epoch {world.seen} was here")
        todo = machine.step(machine.NOTHING._replace(phase=step.phase), "staged").effects
        yield "changes", replaced(world, process, process._replace(todo=todo, then="ARMED"))
    elif step.answer == "adopted":
        todo = ("prepare", *step.effects, "leave")
        yield "adopts", replaced(world, process, process._replace(todo=todo, then="adopts"))
    else:
        raise Broken(f"run {run} is told {step.answer}")


def back(world: World) -> tuple[str, ...]:
    """The effects of the way back as its program decides them now."""
    if world.record is None:
        return ()
    return machine.step(view(world, world.record.nonce), "revert").effects


def guard_looks(world: World, process: Process) -> Iterator[tuple[str, World]]:
    if not process.ours and mind(world):
        process, world = learned(world, process)
    if process.holds:
        step = machine.step(view(world, process.ours), "act")
        if step.answer == "begin again":
            yield (
                "begin again",
                replaced(world, process, Process("guard", mind(world))),
            )
        elif step.answer == "leave":
            yield "leaves", replaced(world, process, None)
        else:
            yield step.answer, replaced(world, process, process._replace(todo=(*step.effects, "leave")))
        return
    step = machine.step(view(world, process.ours, held=locked(world)), "look")
    if step.answer == "leave":
        yield "leaves", replaced(world, process, None)
    elif step.answer == "begin again":
        yield (
            "begin again",
            replaced(world, process, Process("guard", mind(world))),
        )
    elif step.answer == "act" and not locked(world):
        yield "lock", replaced(world, process, process._replace(holds=True))
    elif (
        step.answer == "act"
        and world.record
        and world.record.phase == machine.ARMED
        and not world.record.in_time
    ):
        holder = next(other for other in world.processes if other.holds)
        yield "ends who hangs", killed(world._replace(kills=world.kills - 1), holder)


def learned(world: World, process: Process) -> tuple[Process, World]:
    """The first nonce that a guard sees is the one that it minds."""
    after = process._replace(ours=mind(world))
    return after, replaced(world, process, after)


def effect(world: World, process: Process) -> Iterator[tuple[str, World]]:
    """One durable step, or half of one where files are put in place."""
    name, rest = process.todo[0], process._replace(todo=process.todo[1:])
    record = world.record
    if name in ("switch", "files back") and world.files != "mixed":
        goal = record.to if record and name == "switch" else record.origin if record else "?"
        if world.files != goal:
            yield f"half of {name}", replaced(world, process, process, files="mixed")
            return
    changes: dict[str, object] = {}
    if name == "prepare":
        changes = {"way": process.ours}
    elif name == "record armed":
        fields = Record(machine.ARMED, process.ours, world.active, WANTED[process.ours], process.ours)
        changes = {"record": fields, "seen": max(world.seen, process.ours)}
    elif name == "arm":
        others = tuple(p for p in world.processes if p.kind != "guard" and p is not process)
        yield name, world._replace(processes=(*others, rest, Process("guard", mind(world))))
        return
    elif name == "activate":
        changes = {"active": WANTED[process.ours]}
    elif name == "switch":
        changes = {"files": WANTED[process.ours]}
    elif name == "record pending":
        assert record
        confirms = ((process.ours, True), (process.ours, False))
        fields = record._replace(phase=machine.PENDING, in_time=True, nonce=process.ours, epoch=process.ours)
        changes = {"record": fields, "seen": max(world.seen, process.ours)}
        changes["pending_confirms"] = (*world.pending_confirms, *confirms)
    elif name == "record soaking":
        assert record
        changes = {"record": record._replace(phase=machine.SOAKING, in_time=True)}
    elif name == "record epoch":
        if record:
            changes = {"record": record._replace(epoch=max(record.epoch, process.ours))}
            changes["seen"] = max(world.seen, process.ours)
    elif name == "revert":
        yield name, replaced(world, process, rest._replace(todo=(*back(world), *rest.todo)))
        return
    elif name == "record reverting":
        assert record
        changes = {"record": record._replace(phase=machine.REVERTING, in_time=False)}
    elif name == "files back":
        assert record
        changes = {"files": record.origin}
    elif name == "active back":
        assert record
        changes = {"active": record.origin}
    elif name in ("record confirmed", "record reverted", "record abandoned"):
        assert record
        final = name.split()[1]
        kept = tuple(entry for entry in world.finals if entry[0] != final)
        changes = {
            "record": None,
            "finals": tuple(sorted((*kept, (final, record.nonce, record.epoch)))),
            "outcomes": tuple(sorted({*world.outcomes, (record.nonce, FINAL[final])})),
        }
        if final == "confirmed":
            changes["held_files"] = record.to
    elif name.startswith("tell "):
        changes = {"told": tuple(sorted({*world.told, (process.ours, name[5:])}))}
        yield name, replaced(world, process, None, **changes)
        return
    elif name == "leave":
        yield name, replaced(world, process, None)
        return
    yield name, replaced(world, process, rest, **changes)


def check(world: World) -> None:
    """What must hold at every moment."""
    for nonce in WANTED:
        if {(nonce, "confirmed"), (nonce, "reverted")} <= set(world.outcomes):
            raise Broken(f"change {nonce} was confirmed and taken back")
        if (nonce, "CONFIRMED") in world.told and (nonce, "confirmed") not in world.outcomes:
            raise Broken(f"the controller was told that {nonce} is confirmed, and it is not")
        if (nonce, "TOO_LATE") in world.told and (nonce, "confirmed") in world.outcomes:
            raise Broken(f"the controller was told that {nonce} went back, and it is confirmed")
    if world.record is None and not any(p.todo and p.holds for p in world.processes):
        if world.files != world.active or world.files == "mixed":
            raise Broken(f"nothing is under way, files are {world.files} and active is {world.active}")
        if world.held_files and world.active != world.held_files:
            raise Broken(f"{world.held_files} was confirmed, {world.active} is active")
    if world.record is not None and not world.processes:
        raise Broken(f"{world.record.phase} and nobody is awake")


def explore(start: World, kills: int, reboots: int) -> dict[World, list[tuple[str, World]]]:
    """Every world that can come of ``start``, each checked, with all that can follow it."""
    found: dict[World, list[tuple[str, World]]] = {}
    unseen = [start]
    while unseen:
        world = unseen.pop()
        if world in found:
            continue
        check(world)
        found[world] = list(moves(world, kills, reboots))
        unseen += [following for _name, following in found[world] if following not in found]
    return found


def stuck(found: dict[World, list[tuple[str, World]]]) -> list[World]:
    """Worlds with a change under way from which, without any controller, no world without one is reached."""
    before: dict[World, list[World]] = {}
    for world, following in found.items():
        for name, after in following:
            if not name.startswith("kill") and not name.endswith("comes"):
                before.setdefault(after, []).append(world)
    good = {world for world in found if world.record is None or not world.processes}
    edge = list(good)
    while edge:
        for world in before.get(edge.pop(), ()):
            if world not in good:
                good.add(world)
                edge.append(world)
    return [world for world in found if world not in good]
