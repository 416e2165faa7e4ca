# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on files that a probe tries: read, write, execute, setuid_exec.

Each act gets its target and answers a dict with ``done`` (did the system let it happen), ``errno`` (name of
the error) and facts about what it met. None of them changes anything that stays. Part of the probe
program (``probing_serve``): the same code runs inside the confinement and outside of it, as the control.
"""

from __future__ import annotations

import binascii
import contextlib
import errno
import os
import resource
import signal
import stat

HEAD = 4096  # bytes of a file that are compared


def failed(error):
    """The answer for an OSError."""
    return {"done": False, "errno": errno.errorcode.get(error.errno, str(error.errno))}


def _identity(info):
    return "%d:%d" % (info.st_dev, info.st_ino)


def read(target, request, tell):
    """Open and read up to ``request["limit"]`` bytes (or names); only a checksum of them leaves the program.

    Special files are opened and not read: a byte taken from a terminal or a pipe is gone for its owner.
    binascii and not hashlib: the latter would bring a library along that the sandbox would have to admit.
    """
    limit = int(request.get("limit") or HEAD)
    if os.path.isdir(target):
        names = sorted(os.listdir(target))
        data = "\0".join(names).encode("utf-8", "surrogateescape")
        return {"done": True, "sort": "directory", "length": len(names), "sum": binascii.crc32(data)}
    handle = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return {"done": True, "sort": "special", "length": 0, "file": _identity(os.stat(target))}
        data = os.read(handle, limit)
    finally:
        os.close(handle)
    return {"done": True, "sort": "file", "length": len(data), "sum": binascii.crc32(data)}


def _place(target):
    """(how, path) of writing ``target``: ``open`` what is there, or ``create`` in the nearest directory above."""
    if os.path.exists(target) and not os.path.isdir(target):
        return "open", target
    folder = target
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return "create", folder


def write(target, request, tell):
    """Open for writing without a change: an existing file is neither truncated nor written.

    For a directory, or a name that is not there yet, an unnamed file is made in the directory (O_TMPFILE,
    Linux 3.11), or where the file system has none a hidden name that is removed at once. ``request["place"]``
    is where the other side did it: what is hidden here must not be mistaken for what is missing everywhere.
    """
    how, path = request.get("place") or _place(target)
    if how == "open":
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        os.close(handle)
        return {"done": True, "place": [how, path], "file": _identity(os.stat(path))}
    answer = {"done": True, "place": [how, path], "file": _identity(os.stat(path))}
    try:
        os.close(os.open(path, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise
        name = os.path.join(path, ".bulkhead-probe-%d" % os.getpid())
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        os.unlink(name)
    return answer


def _starve():
    """No files, no output, no core: a program started under this ends in its loader, before main()."""
    for name in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE):
        resource.setrlimit(name, (0, 0))


def _can_starve():
    """Whether setrlimit may be called here at all; tried in a child, as a call filter may kill for it."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            _starve()
            os._exit(0)
        os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _full_pipe():
    """A pipe that nobody reads and that takes no byte more: who writes to it stands still."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"\0" * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"\0")
    os.set_blocking(writer, True)
    return reader, writer


def _start(target, starve, as_uid=None):
    """Fork and exec ``target``; returns (pid, error number or 0, pipe to be closed at the end).

    The pipe closes by itself when exec succeeds and carries the error number when it does not.
    """
    reader, writer = os.pipe()
    stuck = _full_pipe() if starve else ()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            # The loader's complaint about the missing file goes to the full pipe and holds the process there.
            if stuck:
                os.dup2(stuck[1], 2)
            if as_uid is not None:
                os.setgroups([])
                os.setgid(as_uid)
                os.setuid(as_uid)
            if starve:
                _starve()
            os.execv(target, [target, "--version"])
        except OSError as error:
            os.write(writer, str(error.errno).encode("ascii"))
        os._exit(126)
    os.close(writer)
    text = os.read(reader, 16)
    os.close(reader)
    return pid, int(text or b"0"), stuck


def _end(pid, stuck):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for handle in stuck:
        os.close(handle)
    return os.waitpid(pid, 0)[1]


def execute(target, request, tell):
    """Start ``target`` and kill it at once. ENOEXEC: permission was given, the format is unknown."""
    pid, number, stuck = _start(target, _can_starve())
    status = _end(pid, stuck)
    if number == errno.ENOEXEC:
        return {"done": True, "errno": "ENOEXEC"}
    if number:
        return {"done": False, "errno": errno.errorcode.get(number, str(number))}
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS:
        return {"done": False, "errno": "SIGSYS"}
    return {"done": True}


def setuid_exec(target, request, tell):
    """Start a setuid program, hold it in its loader, and let the other side read which user it became."""
    as_uid = request.get("as_uid")
    pid, number, stuck = _start(target, _can_starve(), as_uid)
    try:
        if number:
            return {"done": False, "errno": errno.errorcode.get(number, str(number))}
        tell({"pid": pid, "uid": os.getuid() if as_uid is None else as_uid})
        return {"done": True}
    finally:
        _end(pid, stuck)
