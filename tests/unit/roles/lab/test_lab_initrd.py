# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import lzma
import shutil
import subprocess
from pathlib import Path

import pytest
from bulkhead_lab.initrd import archive, build, module_bytes
from bulkhead_lab.settings import LabError


def members(data: bytes) -> list[tuple[str, int, bytes]]:
    """A second reading of cpio(5), "newc" form."""
    found, at = [], 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = data[at + 110 : at + 110 + fields[11] - 1].decode()
        start = -(-(at + 110 + fields[11]) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found.append((name, fields[1], data[start : start + fields[6]]))
        at = -(-(start + fields[6]) // 4) * 4


@pytest.mark.parametrize("data", [b"", b"a", b"abc", b"abcd", b"abcde"])
def test_archive_keeps_names_modes_and_bytes(data: bytes) -> None:
    given = [("dev", 0o40755, b""), ("some/name", 0o100644, data), ("n", 0o100755, data * 3)]
    assert members(archive(given)) == given


@pytest.mark.skipif(shutil.which("busybox") is None, reason="busybox is not installed")
def test_busybox_reads_the_archive() -> None:
    done = subprocess.run(
        ["busybox", "cpio", "-t"], input=archive([("dev", 0o40755, b""), ("init", 0o100755, b"x")]),
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == [b"dev", b"init"]


def test_build_takes_modules_in_order_and_unpacks_them(tmp_path: Path) -> None:
    drivers = tmp_path / "lib/modules/6.1.0/kernel/drivers"
    drivers.mkdir(parents=True)
    (drivers / "virtio_blk.ko").write_bytes(b"blk")
    (drivers / "virtio.ko.xz").write_bytes(lzma.compress(b"virtio"))
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"box")
    found = {name: data for name, _, data in members(build(tmp_path, busybox))}
    assert found["modules"] == b"virtio.ko\nvirtio_blk.ko\n"
    assert found["virtio.ko"] == b"virtio"
    assert found["bin/busybox"] == b"box"
    assert found["init"].startswith(b"#!/bin/busybox sh\n")


def test_a_tree_without_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"There is no kernel in '.*'\."):
        build(tmp_path, tmp_path / "busybox")


def test_an_unknown_packing_is_refused(tmp_path: Path) -> None:
    module = tmp_path / "virtio.ko.zst"
    module.write_bytes(b"")
    with pytest.raises(LabError, match=r"The lab cannot unpack the kernel module 'virtio\.ko\.zst'\."):
        module_bytes(module)
