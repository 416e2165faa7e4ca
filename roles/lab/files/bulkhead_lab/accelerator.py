# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""KVM or emulation: KVM only where a guest was seen to run under it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

from bulkhead_lab.image import Image
from bulkhead_lab.run import environment, run, say
from bulkhead_lab.settings import Lab, digest

KVM = Path("/dev/kvm")
LIMIT = 10.0  # seconds: a present but broken /dev/kvm hangs
# mov al,0x10; out 0xf4,al; hlt: at the reset vector, 16 bytes below the end of the BIOS
PROBE_BIOS = bytes(65520) + b"\xb0\x10\xe6\xf4\xf4" + bytes(11)
QEMU = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none"]


def ends_with(argv: list[str], status: int) -> bool:
    """True if the guest makes QEMU end with this status within the limit."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, env=environment(), check=False
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == status


def runs_code(lab: Lab) -> bool:
    """Five bytes of real mode: the device ends QEMU with the status (0x10 << 1) | 1 = 33."""
    bios = lab.dir / "tmp" / "probe.bin"
    bios.parent.mkdir(parents=True, exist_ok=True)
    bios.write_bytes(PROBE_BIOS)
    argv = [*QEMU, "-m", "16", "-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-bios", str(bios)]
    try:
        return ends_with(argv, 33)
    finally:
        bios.unlink()


def runs_kernel(image: Image) -> bool:
    """Some nested KVMs run real mode and nothing else. Without a disk the guest's kernel panics; panic=-1
    makes that a reset, and -no-reboot makes the reset the end of QEMU."""
    argv = [*QEMU, "-m", "256", "-no-reboot", "-kernel", str(image.kernel), "-append", "panic=-1 quiet"]
    return ends_with(argv, 0)


def machine_mark() -> str:
    """What the answer depends on, besides the image's kernel."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return digest(platform.release(), model[:1], run(["qemu-system-x86_64", "--version"]), KVM.exists())


def choose(lab: Lab, image: Image) -> str:
    """kvm or tcg for machines of this image; the answer is remembered for this machine and this kernel."""
    if not os.access(KVM, os.R_OK | os.W_OK):
        return "tcg"
    memory = image.folder / "accelerator.json"
    mark = machine_mark()
    if memory.exists():
        known: dict[str, str] = json.loads(memory.read_text())
        if mark in known:
            return known[mark]
    answer = "kvm" if runs_code(lab) and runs_kernel(image) else "tcg"
    if answer == "tcg":
        say(f"{image.suite}: /dev/kvm is there, but no guest runs under it; emulating instead")
    memory.write_text(json.dumps({mark: answer}) + "\n")
    return answer
