# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One QEMU machine: its command line, its process, its reset button."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bulkhead_lab.image import Image
from bulkhead_lab.process import processes
from bulkhead_lab.qmp import Monitor
from bulkhead_lab.run import environment, run
from bulkhead_lab.settings import Lab

# What the kernel clears or shuffles for hardening costs an emulated processor much and shows no test anything.
KERNEL_LINE = (
    "root=/dev/vda rw console=ttyS0 quiet loglevel=3 net.ifnames=0 mitigations=off nokaslr no_timer_check"
    " random.trust_cpu=on init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off page_alloc.shuffle=0"
    " TERM=dumb"
)
# Nehalem boots faster under emulation than "max"; rdrand lets the guest's random generator start at once.
PROCESSOR = {"kvm": "host", "tcg": "Nehalem,+rdrand"}


@dataclass(frozen=True)
class Machine:
    """All that a QEMU command line depends on."""

    name: str
    folder: Path
    image: Image
    disk: Path
    memory_file: Path
    shared: bool
    accelerator: str
    port: int
    mac: str
    address: str = ""
    kernel_words: str = ""

    @property
    def monitor(self) -> Path:
        return self.folder / "qmp"

    def kernel_line(self) -> str:
        net = f" lab.ip={self.address}" if self.address else ""
        return f"{KERNEL_LINE} lab.name={self.name}{net} {self.kernel_words}".rstrip()

    def command(self, lab: Lab, incoming: bool) -> list[str]:
        """virtio-blk, as QEMU's nvme cannot be saved; no option ROM, as nothing boots from the net."""
        # With 128 MiB the translated code was thrown away ten times in two minutes ("info jit" of the monitor).
        threads = ",thread=multi,tb-size=512" if self.accelerator == "tcg" else ""
        share = "on" if self.shared else "off"
        return [
            "qemu-system-x86_64", "-name", f"{lab.tag}-{self.name}", "-accel", self.accelerator + threads,
            "-cpu", PROCESSOR[self.accelerator], "-smp", str(lab.cpus), "-m", str(lab.memory),
            "-object",
            f"memory-backend-file,id=ram0,size={lab.memory}M,mem-path={self.memory_file},share={share}",
            "-machine", "pc,memory-backend=ram0", "-nodefaults", "-display", "none",
            "-rtc", "base=utc,clock=host",
            "-serial", f"file:{self.folder / 'console.log'}",
            "-kernel", str(self.image.kernel), "-initrd", str(self.image.initrd),
            "-append", self.kernel_line(),
            "-drive", f"file={self.disk},if=virtio,cache=unsafe,discard=unmap",
            "-netdev", f"user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-:22",
            "-device", "virtio-net-pci,netdev=n0,romfile=",
            "-netdev", f"socket,id=n1,mcast={lab.multicast},localaddr=127.0.0.1",
            "-device", f"virtio-net-pci,netdev=n1,romfile=,mac={self.mac}",
            "-qmp", f"unix:{self.monitor},server=on,wait=off",
            *(["-incoming", "defer"] if incoming else []),
        ]  # fmt: skip

    def start(self, lab: Lab, incoming: bool = False) -> subprocess.Popen[bytes]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.monitor.unlink(missing_ok=True)
        with (self.folder / "qemu.log").open("wb") as log:
            process = subprocess.Popen(
                self.command(lab, incoming), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, env=environment(),
            )  # fmt: skip
        (self.folder / "pid").write_text(f"{process.pid}\n")
        return process


def overlay(base: str, base_format: str, disk: Path) -> None:
    """A fresh disk that keeps only what differs from base."""
    disk.unlink(missing_ok=True)
    run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", base_format, str(disk)])


def power_cut(folder: Path) -> None:
    """The reset button: nothing is written back, nothing is told to the guest."""
    with Monitor(folder / "qmp") as monitor:
        monitor.run("system_reset")


def all_of(lab: Lab) -> list[int]:
    """Every QEMU process of this lab, by its command line: also those that no pid file remembers."""
    monitor = b"unix:%s/" % os.fsencode(lab.dir)
    return processes(lambda words: words[0].endswith(b"qemu-system-x86_64") and starts(words, monitor))


def starts(words: list[bytes], beginning: bytes) -> bool:
    return any(word.startswith(beginning) for word in words)
