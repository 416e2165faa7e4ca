# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe program: reads one request a line from standard input, tries it, answers on standard output.

Both are plain files that systemd opens before it builds the sandbox (``StandardInput=file:``), so that the
program needs no path of its own inside. The other side appends requests while the program runs; it ends at
``{"action": "end"}`` or after ``PATIENCE`` seconds without a request.

An act runs in a child of its own: a system call filter may kill for it, a connect may hang.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback

from . import probing_acts_calls as calls
from . import probing_acts_files as paths
from . import probing_acts_network as network

PATIENCE = 90.0  # seconds without a request
LIMIT = 20.0  # seconds for one act
ACTS = {
    "read": paths.read,
    "write": paths.write,
    "execute": paths.execute,
    "setuid_exec": paths.setuid_exec,
    "listen": network.listen,
    "connect": network.connect,
    "socket_family": network.socket_family,
    "syscall": calls.syscall,
    "mmap_wx": calls.mmap_wx,
}


class Lines:
    """Lines of a file that somebody else still writes."""

    def __init__(self, handle):
        self.handle = handle
        self.rest = b""

    def next(self, patience):
        """The next whole line, or None when none came in time. Polled, ever more slowly: a file cannot be
        waited for."""
        end, pause = time.monotonic() + patience, 0.002
        while b"\n" not in self.rest:
            data = os.read(self.handle, 65536)
            if data:
                self.rest += data
            elif time.monotonic() > end:
                return None
            else:
                time.sleep(pause)
                pause = min(pause * 1.5, 0.05)
        line, _newline, self.rest = self.rest.partition(b"\n")
        return line


def answer(sequence, data):
    data["seq"] = sequence
    os.write(1, json.dumps(data).encode("ascii") + b"\n")


def confinement(sequence, request, lines):
    """What this process is: its status, label, control group, mounts and maps, as text.

    ``request["load"]`` names modules to import first, so that the maps show all that the program needs.
    """
    for name in request.get("load", ()):
        __import__(name)
    facts = {"done": True, "final": True, "pid": os.getpid()}
    for name in ("status", "attr/current", "cgroup", "mountinfo", "maps"):
        try:
            with open("/proc/self/" + name, encoding="utf-8", errors="surrogateescape") as stream:
                facts[name] = stream.read().rstrip("\0\n")
        except OSError as error:
            facts[name] = ""
            facts[name + ":errno"] = str(error.errno)
    answer(sequence, facts)


def _child(request, lines, writer):
    """Run the act; each line of the pipe is one answer. ``tell`` also waits for the release."""

    def tell(data):
        os.write(writer, json.dumps(data).encode("ascii") + b"\n")
        if request.get("action") == "setuid_exec":
            lines.next(LIMIT)

    try:
        result = ACTS[request["action"]](request["target"], request, tell)
    except OSError as error:
        result = paths.failed(error)
    except Exception as error:
        last = traceback.extract_tb(sys.exc_info()[2])[-1]
        text = "%s: %s (%s:%d)" % (type(error).__name__, error, last.name, last.lineno)
        result = {"done": False, "errno": "", "fault": text}
    result["final"] = True
    os.write(writer, json.dumps(result).encode("ascii") + b"\n")


def attempt(sequence, request, lines):
    """Fork, run the act, pass on what it says; make up a final answer when it dies or hangs."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            _child(request, lines, writer)
        finally:
            os._exit(0)
    os.close(writer)
    end, rest, final = time.monotonic() + LIMIT, b"", False
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        data = os.read(reader, 65536)
        if not data:
            break
        rest += data
        while b"\n" in rest:
            line, _newline, rest = rest.partition(b"\n")
            said = json.loads(line.decode("ascii"))
            final = final or bool(said.get("final"))
            answer(sequence, said)
    os.close(reader)
    late = time.monotonic() >= end
    if late:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if not final:
        name = "ETIMEDOUT" if late else "signal %d" % (status & 0x7F)
        if not late and status & 0x7F:
            name = signal.Signals(status & 0x7F).name
        answer(sequence, {"done": False, "errno": name, "final": True})


def serve():
    """Answer requests until told to end."""
    lines = Lines(0)
    sequence = 0
    answer(0, {"ready": True})
    while True:
        line = lines.next(PATIENCE)
        if line is None:
            return
        request = json.loads(line.decode("ascii"))
        if request["action"] == "end":
            return
        if request["action"] == "release":
            continue  # for an act that is over already
        sequence += 1
        (confinement if request["action"] == "confinement" else attempt)(sequence, request, lines)
