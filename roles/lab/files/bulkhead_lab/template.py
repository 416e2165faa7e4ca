# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine booted once and saved: its memory in a file, its device state beside it, for clones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bulkhead_lab import ssh
from bulkhead_lab.host import Host
from bulkhead_lab.image import Image, remove
from bulkhead_lab.machine import Machine, overlay
from bulkhead_lab.process import kill_all
from bulkhead_lab.qmp import Monitor
from bulkhead_lab.run import run, say
from bulkhead_lab.settings import Lab, LabError, digest

# Pages that every host needs soon: once in the template's memory, no clone has to read and compile them.
WARM_UP = (
    "python3 -c 'import json, ssl, subprocess, zipfile, tempfile, hashlib, ctypes, ast, shlex';"
    " systemctl daemon-reload; systemd-run -q --wait --collect -p ProtectSystem=strict true;"
    " nft list ruleset; systemctl is-system-running; rm -rf /var/log/journal; sync"
)


@dataclass(frozen=True)
class Template:
    """The saved machine of one image, for one accelerator and one size."""

    image: Image
    folder: Path
    accelerator: str

    @property
    def disk(self) -> Path:
        return self.folder / "disk.qcow2"

    @property
    def memory(self) -> Path:
        return self.folder / "memory"

    @property
    def state(self) -> Path:
        return self.folder / "state"


def describe(lab: Lab, image: Image, accelerator: str) -> Template:
    version = run(["qemu-system-x86_64", "--version"]).splitlines()[0]
    processor = cpu_model() if accelerator == "kvm" else ""
    key = digest(accelerator, lab.memory, lab.cpus, version, processor, WARM_UP)
    return Template(image, image.folder / f"template-{key}", accelerator)


def cpu_model() -> str:
    """A state saved under KVM fits the processor that it was saved on."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line
    return ""


def build(lab: Lab, image: Image, accelerator: str) -> tuple[Template, bool]:
    """The template of an image, and whether it had to be made."""
    template = describe(lab, image, accelerator)
    if template.folder.exists():
        say(f"{image.suite}: saved machine is in the cache ({accelerator})")
        return template, False
    say(f"{image.suite}: booting a machine to save it ({accelerator}; seconds under kvm, a minute under tcg)")
    part = replace(template, folder=template.folder.with_suffix(".part"))
    remove(part.folder)
    part.folder.mkdir(mode=0o755)
    overlay("../disk.raw", "raw", part.disk)
    console = lab.dir / "tmp" / f"template-{image.suite}"
    host = Host("template", "qemu", image.suite, 0, "", "127.0.0.1", lab.template_port(image.suite))
    machine = Machine(
        "template", console, image, part.disk, part.memory, True, accelerator, host.port, "52:54:00:07:00:fe"
    )
    process = machine.start(lab)
    try:
        ssh.wait(lab, host, 300, process, template=True)
        answer = ssh.login(ssh.command(lab, host, WARM_UP, template=True))
        if "running" not in answer:
            raise LabError(f"The template of '{image.suite}' did not boot cleanly: '{answer.split()[-1]}'.")
        with Monitor(machine.monitor) as monitor:
            monitor.ignore_shared()
            monitor.run("stop")
            monitor.run("migrate", uri=f"exec:cat >'{part.state}'")
            if monitor.wait(("completed", "failed"), "query-migrate") == "failed":
                raise LabError(f"QEMU could not save the machine of '{image.suite}'.")
            monitor.run("quit")
        process.wait(30)
    finally:
        if process.poll() is None:
            kill_all([process.pid])
    part.disk.chmod(0o444)
    part.folder.rename(template.folder)
    say(f"{image.suite}: machine saved, {template.memory.stat().st_blocks >> 11} MiB of memory")
    return template, True
