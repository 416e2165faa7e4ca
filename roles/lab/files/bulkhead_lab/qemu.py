# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU hosts: clones of a saved machine, each made a host of its own."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bulkhead_lab import inventory, ssh
from bulkhead_lab.host import Host, known
from bulkhead_lab.machine import Machine, overlay
from bulkhead_lab.process import alive, kill_all
from bulkhead_lab.qmp import Monitor
from bulkhead_lab.run import environment, say
from bulkhead_lab.settings import KERNELS, Lab, LabError
from bulkhead_lab.template import Template

SCRIPT = Path(__file__).parent / "personalise.sh"


def running(lab: Lab, host: Host) -> bool:
    pid = host.folder(lab) / "pid"
    return pid.exists() and alive(int(pid.read_text()))


def machine_of(lab: Lab, host: Host, template: Template) -> Machine:
    folder = host.folder(lab)
    return Machine(
        host.name, folder, template.image, folder / "disk.qcow2", template.memory, False,
        template.accelerator, host.port, f"52:54:00:07:00:{host.index:02x}", f"{host.address}/24",
        KERNELS.get(host.kernel, ""),
    )  # fmt: skip


def resume(lab: Lab, host: Host, template: Template) -> None:
    """Start a clone and let it run on from the template's last moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", host.port))
        except OSError as error:
            raise LabError(
                f"Port {host.port}, which host '{host.name}' needs, is taken.",
                "Choose other ports with lab_port_base (--port-base).",
            ) from error
    machine = machine_of(lab, host, template)
    overlay(str(template.disk), "qcow2", machine.disk)
    process = machine.start(lab, incoming=True)
    with Monitor(machine.monitor) as monitor:
        monitor.ignore_shared()
        monitor.run("migrate-incoming", uri=f"exec:cat '{template.state}'")
        status = monitor.wait(("paused", "running", "internal-error"))
        if status == "internal-error" or process.poll() is not None:
            raise LabError(f"Clone '{host.name}' did not resume.", f"See '{machine.folder / 'qemu.log'}'.")
        monitor.run("cont")


def personal_script(lab: Lab, host: Host) -> str:
    """What is personal to a host, as shell assignments, before the script that puts it in place."""
    key = ssh.host_key(lab, host)
    values = {
        "name": host.name,
        "address": f"{host.address}/24",
        "mac": f"52:54:00:07:00:{host.index:02x}",
        "machine_id": os.urandom(16).hex(),
        "seed": os.urandom(64).hex(),
        "host_key": key.read_text().strip(),
        "public_key": key.with_suffix(".pub").read_text().strip(),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join([*lines, SCRIPT.read_text()])


def personalise(lab: Lab, host: Host, limit: float = 180) -> None:
    """Give a resumed clone its own identity. The clock goes first: the time is sent once the guest's shell
    has said that it reads, so that neither login nor emulation delays it."""
    argv = ssh.command(lab, host, "echo ready; exec sh -s", template=True)
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdin and process.stdout
        if process.stdout.readline() != "ready\n":
            raise LabError(f"Clone '{host.name}' did not let the lab in: {process.communicate()[1].strip()}.")
        process.stdin.write(f"date -s @{time.time():.3f} >/dev/null\n{personal_script(lab, host)}")
        try:
            _unused, complaint = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired as error:
            process.kill()
            raise LabError(
                f"Clone '{host.name}' took more than {limit:.0f} s to get its identity."
            ) from error
    if process.returncode != 0:
        raise LabError(f"Clone '{host.name}' could not get its identity: {complaint.strip()}.")


def up(lab: Lab, host: Host, template: Template) -> None:
    """One host, from nothing to a login with its own key."""
    resume(lab, host, template)
    ssh.wait_banner(host, 120)
    personalise(lab, host)
    ssh.wait(lab, host, 120)


def up_all(lab: Lab, work: list[tuple[Host, Template]]) -> None:
    """As many at a time as the machine has processors; more only wait for each other."""

    def one(item: tuple[Host, Template]) -> None:
        up(lab, *item)
        say(f"{item[0].name}: up ({item[0].suite}, {item[1].accelerator}, port {item[0].port})")

    for host, _unused in work:
        host.save(lab)
    inventory.pin_keys(lab, known(lab))
    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        list(pool.map(one, work))


def down(lab: Lab, host: Host) -> None:
    pid = host.folder(lab) / "pid"
    if running(lab, host):
        kill_all([int(pid.read_text())])
