# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the kernel takes a device filter from here. systemd asks the same before it applies ``DevicePolicy=``."""

from __future__ import annotations

import ctypes
import os
import struct

NUMBERS = {
    "x86_64": 321,
    "i686": 357,
    "aarch64": 280,
    "riscv64": 280,
    "armv7l": 386,
    "ppc64le": 361,
    "s390x": 351,
}
PROG_LOAD, CGROUP_DEVICE = 5, 15
# r0 = 1; exit
PROGRAM = struct.pack("=BBhi", 0xB7, 0, 0, 1) + struct.pack("=BBhi", 0x95, 0, 0, 0)


def takes_device_filter():
    """Loads a filter that allows all, attaches it to nothing and drops it."""
    number = NUMBERS.get(os.uname().machine)
    if number is None:
        return False
    program, licence = ctypes.create_string_buffer(PROGRAM), ctypes.create_string_buffer(b"GPL")
    attributes = ctypes.create_string_buffer(
        struct.pack(
            "=IIQQ", CGROUP_DEVICE, len(PROGRAM) // 8, ctypes.addressof(program), ctypes.addressof(licence)
        ),
        128,
    )
    loaded = ctypes.CDLL(None, use_errno=True).syscall(number, PROG_LOAD, attributes, len(attributes))
    if loaded < 0:
        return False
    os.close(loaded)
    return True
