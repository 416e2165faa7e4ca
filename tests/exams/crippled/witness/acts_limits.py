# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts past limits: memory, processes, processor, disk, files."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import time

from peer import ask


def use_memory(mebibytes):
    """In a child: whoever takes too much is killed, or gets no more."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            held = [b"\1" * (1 << 20) for _unused in range(mebibytes)]
            os._exit(0 if len(held) == mebibytes else 1)
        os._exit(1)
    status = os.waitpid(pid, 0)[1]
    return status == 0, "had %d MiB" % mebibytes if status == 0 else "status %d" % status


def make_processes(count):
    made = []
    try:
        for _unused in range(count):
            pid = os.fork()
            if pid == 0:
                time.sleep(20)
                os._exit(0)
            made.append(pid)
    except OSError as error:
        return False, "errno %d after %d" % (error.errno, len(made))
    finally:
        for pid in made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    return True, "made %d" % count


def burn(seconds):
    """Seconds of processor time that this process got within so many seconds."""
    end, used = time.monotonic() + seconds, time.process_time()
    while time.monotonic() < end:
        pass
    return time.process_time() - used


def use_processor(seconds, percent):
    """More than ``percent`` of a processor, with nobody else at it."""
    share = 100 * burn(seconds) / seconds
    return share > percent, "%.0f%%" % share


def compete_for_processor(seconds, percent):
    """More than ``percent`` of what it and a busy process outside got together."""
    ask(op="burn", seconds=seconds + 1)
    time.sleep(0.3)
    mine = burn(seconds)
    other = ask(op="burnt")["seconds"] * seconds / (seconds + 1)
    share = 100 * mine / max(mine + other, 0.01)
    return share > percent, "%.0f%%" % share


def write_direct(path, seconds):
    """Blocks of 64 KiB written past the cache within so many seconds."""
    block = mmap.mmap(-1, 65536)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_DIRECT, 0o600)
    end, count, busy = time.monotonic() + seconds, 0, time.process_time()
    try:
        while time.monotonic() < end:
            os.lseek(handle, count % 8 * 65536, os.SEEK_SET)
            os.write(handle, block)
            count += 1
    finally:
        os.close(handle)
        os.unlink(path)
    return count, (time.process_time() - busy) / seconds


def compete_for_disk(folder, seconds, percent):
    ask(op="disk", path="/srv/exam-disk", seconds=seconds + 1)
    time.sleep(0.3)
    mine, busy = write_direct(os.path.join(folder, ".exam-disk"), seconds)
    other = ask(op="burnt")["seconds"] * seconds / (seconds + 1)
    share = 100 * mine / max(mine + other, 1)
    if busy > 0.2:  # an emulated disk costs the processor, whose weight would be what decides
        return False, "%.0f%%, and %.0f%% of the time on the processor" % (share, 100 * busy)
    return share > percent, "%.0f%%" % share


def open_files(count):
    held = []
    try:
        for _unused in range(count):
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        return False, "errno %d after %d" % (error.errno, len(held))
    return True, "opened %d" % count


def open_more_files(count):
    """The same after the limit was raised as far as it goes."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return open_files(count)


def write_large(folder, size):
    path = os.path.join(folder, ".exam-large-%d" % os.getpid())
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with open(path, "wb", buffering=0) as stream:
            stream.seek(size - 1)
            stream.write(b"x")
        return True, "wrote %d" % size
    finally:
        os.unlink(path)


ACTS = {
    function.__name__: function
    for function in (
        use_memory, make_processes, use_processor, compete_for_processor, compete_for_disk, open_files,
        open_more_files, write_large,
    )
}  # fmt: skip
