# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on the kernel's own interface: syscall, mmap_wx. Part of the probe program.

A call is made with arguments that the kernel turns down after it has let the call in, so that nothing
happens when it is allowed: a bad flag, a null pointer, a descriptor that is not open.
"""

from __future__ import annotations

import errno
import os

# Numbers of the architectures that Debian 11 and later run on; aarch64 uses the generic table of
# include/uapi/asm-generic/unistd.h. Name -> (x86_64, aarch64, arguments, errors that say "let in").
CALLS = {
    "mount": (165, 40, (0, 0, 0, 0, 0), ("EFAULT",)),
    "umount2": (166, 39, (0, -1), ("EINVAL", "EFAULT")),
    "pivot_root": (155, 41, (0, 0), ("EFAULT",)),
    "chroot": (161, 51, (0,), ("EFAULT",)),
    "swapon": (167, 224, (0, -1), ("EINVAL", "EFAULT")),
    "reboot": (169, 142, (0, 0, 0, 0), ("EINVAL",)),
    "kexec_load": (246, 104, (0, 0, 0, -1), ("EINVAL",)),
    "init_module": (175, 105, (0, 0, 0), ("ENOEXEC", "EFAULT", "EINVAL")),
    "finit_module": (313, 273, (-1, 0, -1), ("EINVAL", "EBADF")),
    "delete_module": (176, 106, (0, 0), ("EFAULT",)),
    "ptrace": (101, 117, (-1, 0, 0, 0), ("ESRCH", "EIO", "EINVAL")),
    "process_vm_readv": (310, 270, (0, 0, 0, 0, 0, -1), ("EINVAL",)),
    "bpf": (321, 280, (-1, 0, 0), ("EINVAL", "E2BIG")),
    "perf_event_open": (298, 241, (0, 0, 0, 0, 0), ("EFAULT",)),
    "userfaultfd": (323, 282, (-1,), ("EINVAL",)),
    "io_uring_setup": (425, 425, (0, 0), ("EFAULT", "EINVAL")),
    "unshare": (272, 97, (1,), ("EINVAL",)),
    "setns": (308, 268, (-1, 0), ("EBADF",)),
    "add_key": (248, 217, (0, 0, 0, 0, 0), ("EFAULT",)),
    "keyctl": (250, 219, (-1, 0, 0, 0, 0), ("EOPNOTSUPP", "ENOTSUP")),
    "settimeofday": (164, 170, (1, 0), ("EFAULT",)),
    "clock_settime": (227, 112, (-99, 0), ("EINVAL", "EFAULT")),
    "sethostname": (170, 161, (0, -1), ("EINVAL",)),
    "open_by_handle_at": (304, 265, (-1, 0, 0), ("EFAULT", "EBADF")),
    "memfd_create": (319, 279, (0, -1), ("EFAULT", "EINVAL")),
    "acct": (163, 89, (0xFFF,), ("EFAULT",)),
    "quotactl": (179, 60, (-1, 0, 0, 0), ("EINVAL", "EFAULT")),
}


def syscall(target, request, tell):
    """Make one system call that cannot do anything. ``done`` is whether the kernel let it in."""
    column = {"x86_64": 0, "aarch64": 1}.get(os.uname().machine)
    if target not in CALLS or column is None:
        return {"done": False, "errno": "", "unknown": True}
    import ctypes  # only here: it brings libffi along

    number, arguments, let_in = CALLS[target][column], CALLS[target][2], CALLS[target][3]
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    answer = call(ctypes.c_long(number), *[ctypes.c_long(value) for value in arguments])
    if answer >= 0:
        return {"done": True}
    name = errno.errorcode.get(ctypes.get_errno(), str(ctypes.get_errno()))
    return {"done": name in let_in, "errno": name}


def mmap_wx(target, request, tell):
    """Map one page that is writable and executable at once."""
    import mmap

    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    return {"done": True}
