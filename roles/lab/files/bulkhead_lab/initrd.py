# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The smallest initrd for a virtio disk: a static busybox, a handful of modules, one shell script."""

from __future__ import annotations

import lzma
from pathlib import Path

from bulkhead_lab.settings import LabError

# In the order in which they need each other; what a kernel has built in is passed over.
MODULES = (
    "virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk",
    "failover", "net_failover", "virtio_net",
)  # fmt: skip
GUEST = Path(__file__).parent / "guest"


def entry(number: int, name: str, mode: int, data: bytes = b"") -> bytes:
    """One member of a cpio archive in "newc" form (cpio(5)): header and name, data, each padded to 4."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + path
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def archive(members: list[tuple[str, int, bytes]]) -> bytes:
    """A whole archive of (name, mode, data), in this order."""
    body = b"".join(entry(n, *member) for n, member in enumerate(members, 1))
    return body + entry(0, "TRAILER!!!", 0)


def module_bytes(path: Path) -> bytes:
    """A kernel module as the kernel takes it. Debian packs them with xz from 13 on."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix != ".ko":
        raise LabError(f"The lab cannot unpack the kernel module '{path.name}'.")
    return data


def build(tree: Path, busybox: Path) -> bytes:
    """The initrd for the kernel in a tree; not compressed, as unpacking costs more than reading."""
    kernels = sorted(tree.glob("lib/modules/*/kernel")) or sorted(tree.glob("usr/lib/modules/*/kernel"))
    if not kernels:
        raise LabError(f"There is no kernel in '{tree}'.")
    members = [(name, 0o40755, b"") for name in ("dev", "proc", "newroot", "bin")]
    members.append(("bin/busybox", 0o100755, busybox.read_bytes()))
    names = []
    for module in MODULES:
        for path in sorted(kernels[-1].rglob(f"{module}.ko*"))[:1]:
            names.append(f"{module}.ko")
            members.append((names[-1], 0o100644, module_bytes(path)))
    members.append(("modules", 0o100644, "".join(f"{name}\n" for name in names).encode()))
    members.append(("init", 0o100755, (GUEST / "init").read_bytes()))
    return archive(members)
