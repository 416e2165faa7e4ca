# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on files and programs. Each answers (did it get through, what was seen); an OSError is a denial."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from peer import ask

PROGRAM = "/usr/lib/exam-tool"  # to be read in every sandbox: libraries lie there
LOADER = "/lib64/ld-linux-x86-64.so.2"


def name(error):
    return errno.errorcode.get(error.errno, str(error.errno))


def read(path):
    """Content counts, not that open(2) succeeds: root opens what InaccessiblePaths= put there and reads nothing."""
    if os.path.isdir(path):
        names = os.listdir(path)
        return bool(names), "%d names" % len(names)
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    data = os.read(handle, 4096)
    return bool(data), "%d bytes" % len(data)


def write_outside(path):
    """By the root folder of a process that is not in the sandbox: prepare.sh leaves one of each account."""
    for number in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            return write("/proc/%s/root%s" % (number, path))
    return False, "no process's root folder lets it"


def write(path):
    """A byte more in a file; in a folder a new file that the rest of the host sees."""
    if not os.path.isdir(path):
        handle = os.open(path, os.O_WRONLY | os.O_APPEND)
        os.write(handle, b"\n")
        return True, "appended"
    new = os.path.join(path, ".exam-%d" % os.getpid())
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        seen = ask(op="exists", path=new)["done"]
    finally:
        os.unlink(new)
    return seen, "made, and %s outside" % ("seen" if seen else "not seen")


def write_setting(path):
    """Put a setting of the kernel back to what it is."""
    with open(path) as stream:
        value = stream.read()
    with open(path, "w") as stream:
        stream.write(value)
    return True, "written"


def run(*argv):
    """(started, what came of it). The pipe closes by itself once another program runs."""
    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            target = int(argv[0]) if argv[0].isdigit() else argv[0]
            nothing = os.open("/dev/null", os.O_WRONLY)
            os.dup2(nothing, 1)
            os.dup2(nothing, 2)
            os.execve(target, list(argv), {})
        except OSError as error:
            os.write(outward, name(error).encode())
        os._exit(111)
    os.close(outward)
    said = os.read(inward, 100).decode()
    status = os.waitpid(pid, 0)[1]
    if said:
        return False, said
    return status == 0, "status %d" % (status >> 8) if not status & 127 else "signal %d" % (status & 127)


def copy_to(path):
    with open(PROGRAM, "rb") as stream:
        data = stream.read()
    with open(path, "wb") as stream:
        stream.write(data)
    os.chmod(path, 0o755)


def execute_written(folder):
    """A program that it wrote itself."""
    path = os.path.join(folder, ".exam-program-%d" % os.getpid())
    copy_to(path)
    try:
        return run(path)
    finally:
        os.unlink(path)


def execute_memory():
    """A program that is in no folder."""
    with open(PROGRAM, "rb") as stream:
        data = stream.read()
    handle = os.memfd_create("exam", 0)
    os.write(handle, data)
    return run(str(handle))


def execute_by_loader(path):
    """Not the program but its loader is started, and maps the program."""
    return run(LOADER, path)


def execute_swapped(path, other):
    """Outside, another program is put in place of an allowed one by rename."""
    ask(op="swap", path=path, other=other)
    try:
        return run(path)
    finally:
        ask(op="swap_back", path=path, other=other)


def read_swapped(path, inside):
    """Outside, another folder is put in place of this one by rename; ``inside``: a file of it."""
    ask(op="swap", path=path, other=path + ".other")
    try:
        return read(os.path.join(path, inside))
    finally:
        ask(op="swap_back", path=path, other=path + ".other")


def write_swapped(path, inside):
    ask(op="swap", path=path, other=path + ".other")
    try:
        return write(os.path.join(path, inside))
    finally:
        ask(op="swap_back", path=path, other=path + ".other")


def setuid_file(folder):
    """Make a program run as its owner for everybody."""
    path = os.path.join(folder, ".exam-suid-%d" % os.getpid())
    copy_to(path)
    try:
        os.chmod(path, 0o4755)
        return bool(os.stat(path).st_mode & stat.S_ISUID), "mode set"
    finally:
        os.unlink(path)


def setuid_run(path):
    """A program of root's that runs as root: a copy of test(1) asks whether it may read what only root may."""
    if os.getuid() == 0:
        os.setuid(65534)  # root needs no such program: as the control, somebody else runs it
    return run(path, "-r", "/etc/exam/of-root")


def change_owner(folder):
    path = os.path.join(folder, ".exam-owner-%d" % os.getpid())
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        os.chown(path, 1, 1)
        return True, "changed"
    finally:
        os.unlink(path)


ACTS = {
    "read": read,
    "write": write,
    "write_outside": write_outside,
    "write_setting": write_setting,
    "execute": run,
    "execute_written": execute_written,
    "execute_memory": execute_memory,
    "execute_by_loader": execute_by_loader,
    "execute_swapped": execute_swapped,
    "read_swapped": read_swapped,
    "write_swapped": write_swapped,
    "setuid_file": setuid_file,
    "setuid_run": setuid_run,
    "change_owner": change_owner,
}
