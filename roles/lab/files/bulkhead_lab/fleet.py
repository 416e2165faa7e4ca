# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts as a whole: which are wanted, which run, how they come and how they go."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

from bulkhead_lab import accelerator, image, inventory, machine, nspawn, qemu, ssh, template, tree
from bulkhead_lab.host import Host, describe, known, named
from bulkhead_lab.lock import locked
from bulkhead_lab.process import kill_all, processes
from bulkhead_lab.run import environment, say, together
from bulkhead_lab.settings import SUITES, Lab, LabError


def images(lab: Lab, kind: str, suites: list[str]) -> tuple[dict[str, Any], list[bool]]:
    """What hosts of this kind start from, by suite: an Image for nspawn, a Template for QEMU."""
    chosen = list(dict.fromkeys(suites))
    with locked(lab.cache, wait=True):
        made = together(partial(image.build, lab), chosen)
        if kind == "qemu":
            work = [(found, accelerator.choose(lab, found)) for found, _unused in made]
            saved = together(lambda one: template.build(lab, *one), work)
            made = [
                (found, new or new_image)
                for (found, new), (_unused, new_image) in zip(saved, made, strict=True)
            ]
        for suite in chosen:
            prune(lab, suite, image.describe(lab, suite).folder)
    return {suite: found for suite, (found, _unused) in zip(chosen, made, strict=True)}, [
        new for _unused, new in made
    ]


def prune(lab: Lab, suite: str, current: Path) -> None:
    """Remove images of a suite that an older recipe made, unless a running host hangs on them."""
    for old in lab.cache.glob(f"{suite}-*"):
        if old != current and not processes(partial(mentions, os.fsencode(old))):
            image.remove(old)


def mentions(path: bytes, words: list[bytes]) -> bool:
    return any(path in word for word in words)


def running(lab: Lab, host: Host) -> bool:
    return qemu.running(lab, host) if host.kind == "qemu" else nspawn.running(lab, host)


def stop(lab: Lab, host: Host) -> None:
    if host.kind == "qemu":
        qemu.down(lab, host)
    else:
        nspawn.down(lab, host)
    shutil.rmtree(host.folder(lab), ignore_errors=True)


def up(lab: Lab, kind: str, count: int, suites: list[str]) -> list[str]:
    """Bring hosts of a kind to this number; the other kind is left alone. Names of those started."""
    wanted = [describe(lab, kind, i, suites[(i - 1) % len(suites)]) for i in range(1, count + 1)]
    present = [host for host in known(lab, kind) if host in wanted and running(lab, host)]
    for host in known(lab, kind):
        if host not in present:
            say(f"{host.name}: removing what is left of it")
            stop(lab, host)
    starting = [host for host in wanted if host not in present]
    if starting:
        sources, _unused = images(lab, kind, [host.suite for host in starting])
        work = [(host, sources[host.suite]) for host in starting]
        try:
            if kind == "qemu":
                qemu.up_all(lab, work)
                # A clone goes on from the saved machine's boot: what its own kernel is told counts from the next one.
                together(partial(restart, lab), [host.name for host in starting if host.kernel])
            else:
                if not present:
                    nspawn.remove_all(lab)  # of a lab whose folder was lost while it ran
                nspawn.up_all(lab, work)
        finally:
            inventory.write(lab)
    else:
        inventory.write(lab)
    say(f"{len(wanted)} hosts up, {len(starting)} of them started now")
    return [host.name for host in starting]


def status(lab: Lab) -> list[dict[str, Any]]:
    return [{**vars(host), "running": running(lab, host)} for host in known(lab)]


def close_connections(lab: Lab) -> None:
    """End the ssh connections that Ansible keeps open for later runs."""
    for socket in (lab.dir / "cp").glob("*"):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "lab"],
                capture_output=True, timeout=5, env=environment(), check=False,
            )  # fmt: skip


def down(lab: Lab, purge: bool) -> bool:
    """Stop everything and remove every trace outside the cache, also of a run that died half-way."""
    had = (
        (purge and lab.cache.exists()) or bool(known(lab)) or bool(machine.all_of(lab)) or nspawn.traces(lab)
    )
    close_connections(lab)
    kill_all(tree.builders(lab))
    kill_all(machine.all_of(lab))
    if os.geteuid() == 0:
        nspawn.remove_all(lab)
    for name in ("hosts", "tmp", "cp"):
        image.remove(lab.dir / name)
    for name in (
        "known_hosts",
        "inventory.yml",
        "ssh_config",
        "READY",
        *(f"build-{suite}.log" for suite in SUITES),
    ):
        (lab.dir / name).unlink(missing_ok=True)
    if lab.cache.exists():
        clear_cache(lab, purge)
    say("lab is down")
    return had


def clear_cache(lab: Lab, purge: bool) -> None:
    """Remove what a run that died left half done, or everything. Another lab may be building there."""
    with locked(lab.cache):
        if purge:
            image.remove(lab.cache)
            return
        for part in [*lab.cache.glob("*.part"), *lab.cache.glob("*/template-*.part")]:
            image.remove(part)
        for tar in lab.cache.glob("tar/*.part.tar"):
            tar.unlink()


def restart(lab: Lab, name: str, power_cut: bool = False) -> float:
    """Reboot a host, or cut its power, and wait until it has booted anew; seconds that took."""
    host = named(lab, name)
    if power_cut and host.kind != "qemu":
        raise LabError(
            f"Host '{name}' is an nspawn host: it shares this machine's kernel and has no power to cut."
        )
    start = time.monotonic()
    before = boot_mark(lab, host)
    if power_cut:
        machine.power_cut(host.folder(lab))
    while time.monotonic() - start < 300:
        if not power_cut:
            ask_to_reboot(lab, host)
        with contextlib.suppress(LabError):
            ssh.wait(lab, host, 120)
            if boot_mark(lab, host) != before:
                return round(time.monotonic() - start, 1)
        time.sleep(1)
    raise LabError(f"Host '{name}' did not come back within 300 s.")


def ask_to_reboot(lab: Lab, host: Host) -> None:
    """Say what the host answers, unless the connection ended before the answer came. Asking again does no harm."""
    try:
        ssh.login(ssh.command(lab, host, "systemctl reboot"), limit=30)
    except LabError as problem:
        if "status 255" not in str(problem):
            say(f"{host.name}: {problem}")


def boot_mark(lab: Lab, host: Host) -> str:
    """Changes with every boot: on QEMU the kernel's boot id, which nspawn hosts share with this machine."""
    if host.kind == "qemu":
        return ssh.login(ssh.command(lab, host, "cat /proc/sys/kernel/random/boot_id"))
    return nspawn.boot_mark(lab, host)


def console(lab: Lab, name: str) -> None:
    log = named(lab, name).folder(lab) / "console.log"
    os.execvp("tail", ["tail", "-n", "100", "-F", str(log)])
