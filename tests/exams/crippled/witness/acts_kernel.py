# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on the kernel: calls, capabilities, devices, other processes, the environment, secrets."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import mmap
import os
import signal
import socket
import time

LIBC = ctypes.CDLL(None, use_errno=True)
# x86-64: number, arguments that let nothing happen (a null pointer, a closed descriptor, an empty flag).
CALLS = {
    "mount": (165, (0, 0, 0, 0, 0)),
    "pivot_root": (155, (0, 0)),
    "swapon": (167, (0, -1)),
    "reboot": (169, (0, 0, 0, 0)),
    "kexec_load": (246, (0, 0, 0, -1)),
    "init_module": (175, (0, 0, 0)),
    "delete_module": (176, (0, 0)),
    "ptrace": (101, (-1, 0, 0, 0)),
    "bpf": (321, (-1, 0, 0)),
    "perf_event_open": (298, (0, 0, 0, 0, 0)),
    "io_uring_setup": (425, (0, 0)),
    "unshare": (272, (0,)),
    "setns": (308, (-1, 0)),
    "add_key": (248, (0, 0, 0, 0, 0)),
    "keyctl": (250, (-1, 0, 0, 0, 0)),
    "clock_settime": (227, (-99, 0)),
    "iopl": (172, (0,)),
    "acct": (163, (0xFFF,)),
    "mlock": (149, (0, 0)),
    "chroot": (161, (0,)),
    "setpriority": (141, (9, 0, 0)),
}
CLOSED = (errno.EPERM, errno.ENOSYS)


def _call(number, arguments):
    LIBC.syscall.restype = ctypes.c_long
    return LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(word) for word in arguments])


def call(which):
    """Let in: whatever the kernel says, but that it is not permitted or not there."""
    if _call(*CALLS[which]) >= 0:
        return True, "0"
    error = ctypes.get_errno()
    return error not in CLOSED, errno.errorcode.get(error, str(error))


def call_32_bit():
    """getpid() by the gate of 32-bit programs, where it has another number (20): mov eax,20; int 0x80; ret."""
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return function() == os.getpid(), "called"


def set_user(uid):
    os.setuid(uid)
    return os.geteuid() == uid, "uid %d" % os.geteuid()


def signal_other():
    """Process 1 belongs to root: signal 0 changes nothing."""
    os.kill(1, 0)
    return True, "sent"


def make_node(folder):
    path = os.path.join(folder, ".exam-node-%d" % os.getpid())
    os.mknod(path, 0o020600, os.makedev(1, 3))
    os.unlink(path)
    return True, "made"


def host_name():
    socket.sethostname(socket.gethostname())
    return True, "set"


def kernel_log():
    """syslog(2), action 10: the size of the kernel's log; action 3 would need the same privilege."""
    if _call(103, (10, 0, 0)) < 0:
        raise OSError(ctypes.get_errno(), "syslog")
    buffer = ctypes.create_string_buffer(256)
    got = LIBC.klogctl(3, buffer, 256)
    return got > 0, "%d bytes" % got


def new_user_namespace():
    if LIBC.unshare(0x10000000) < 0:
        raise OSError(ctypes.get_errno(), "unshare")
    return True, "made"


def personality():
    """READ_IMPLIES_EXEC, for this process alone."""
    if LIBC.personality(0x0400000) < 0:
        raise OSError(ctypes.get_errno(), "personality")
    return True, "changed"


def real_time():
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    return True, "set"


def raise_priority():
    os.setpriority(os.PRIO_PROCESS, 0, -5)
    return True, "raised"


def change_root():
    os.chroot("/")
    return True, "changed"


def other_processes():
    """Processes of other users; without own ones, whatever the user."""
    seen = [
        pid for pid in os.listdir("/proc") if pid.isdigit() and os.stat("/proc/" + pid).st_uid != os.getuid()
    ]
    return bool(seen), "%d processes" % len(seen)


def memory_of_init():
    with open("/proc/1/environ", "rb") as stream:
        return bool(stream.read(1)), "read"


def map_writable_executable():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    return True, "mapped"


def make_executable():
    """A writable page becomes executable."""
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    page.write(b"\xc3")
    where = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if LIBC.mprotect(ctypes.c_void_p(where), ctypes.c_size_t(4096), 5) < 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    return True, "protected"


def map_twice():
    """One piece of memory, seen once writable and once executable: written there, run here."""
    handle = os.memfd_create("exam", 0)
    os.ftruncate(handle, 4096)
    page = mmap.mmap(handle, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    LIBC.mmap.restype = ctypes.c_void_p
    where = LIBC.mmap(None, ctypes.c_size_t(4096), 5, 1, handle, ctypes.c_long(0))
    if where in (None, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "mmap")
    page.write(b"\xb8\x07\x00\x00\x00\xc3")  # mov eax,7; ret
    return ctypes.CFUNCTYPE(ctypes.c_int)(where)() == 7, "ran"


def dump_core(folder, lowered):
    """The kernel says of a child that crashed whether it wrote a core, or handed one to a program.

    A limit of 0 forbids files and not programs (core(5)): ``lowered`` tries with it.
    """
    import resource

    pid = os.fork()
    if pid == 0:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (0 if lowered else hard, hard))
        os.chdir(folder)
        os.kill(os.getpid(), signal.SIGQUIT)
        time.sleep(5)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    for name in os.listdir(folder):
        if name.split(".")[0] == "core":
            os.unlink(os.path.join(folder, name))
    return os.WCOREDUMP(status), "core written" if os.WCOREDUMP(status) else "status %d" % status


def open_device(path):
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
    return True, "opened"


def has_variable(name):
    return name in os.environ, os.environ.get(name, "not there")


def variable_is(name, value):
    return os.environ.get(name) == value, os.environ.get(name, "not there")


def credential(name, value):
    with open(os.path.join(os.environ.get("CREDENTIALS_DIRECTORY", "/nowhere"), name)) as stream:
        return stream.read() == value, "read"


def has_user(name):
    """The account of the unit's processes."""
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name == name, "uid %d" % os.getuid()


def is_root():
    return os.getuid() == 0 or os.geteuid() == 0, "uid %d" % os.getuid()


ACTS = {
    function.__name__: function
    for function in (
        call, call_32_bit, set_user, signal_other, make_node, host_name, kernel_log, new_user_namespace, personality,
        real_time, raise_priority, change_root, other_processes, memory_of_init, map_writable_executable,
        make_executable, map_twice, dump_core, open_device, has_variable, variable_is, credential, has_user, is_root,
    )
}  # fmt: skip
