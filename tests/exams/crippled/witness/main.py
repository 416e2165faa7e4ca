# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application of the verdicts exam: tries, from inside of its unit, what its list says, and writes what came of it.

Shares no code with Bulkhead's own probes. Usage: main.py PLACE, a folder that it may write to. A file PLACE/go makes it
try all acts of /opt/exam/witness/acts.json; the answers are in PLACE/said.json. PLACE/hang-start, hang-stop and
hang-pings make it a service that never gets ready, does not stop, or falls silent.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time

import acts_files
import acts_kernel
import acts_limits
import acts_network

ACTS = {**acts_files.ACTS, **acts_kernel.ACTS, **acts_limits.ACTS, **acts_network.ACTS}
LIMIT = 15.0  # seconds for one act
PLACE = sys.argv[1]


def notify(text):
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(text.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


def flag(name):
    return os.path.exists(os.path.join(PLACE, name))


def child(act, arguments, out):
    """Never returns: one act, its answer written to a pipe."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        through, said = ACTS[act](*arguments)
    except OSError as error:
        through, said = False, acts_files.name(error)
    except BaseException as error:  # an act that broke is no denial, and the exam says so
        through, said = None, "%s: %s" % (type(error).__name__, error)
    os.write(out, json.dumps([through, str(said)]).encode())
    os._exit(0)


def attempt(act, arguments):
    """[through, said]: through is None where the act could not tell."""
    inward, outward = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        child(act, arguments, outward)
    os.close(outward)
    ready = select.select([inward], [], [], LIMIT)[0]
    data = os.read(inward, 65536) if ready else b""
    os.close(inward)
    try:
        os.killpg(pid, signal.SIGKILL)  # also what the act has left behind
    except OSError:
        pass
    status = os.waitpid(pid, 0)[1]
    if data:
        return json.loads(data)
    return [False, "signal %d" % (status & 127) if ready else "nothing happened within %.0f s" % LIMIT]


def try_all():
    with open(os.path.join(PLACE, "go")) as stream:
        wanted = json.load(stream)
    os.unlink(os.path.join(PLACE, "go"))
    with open("/opt/exam/witness/acts.json") as stream:
        acts = json.load(stream)[wanted["policy"]]
    said = {}
    for key, act, arguments in acts:
        notify("WATCHDOG=1")
        said[key] = attempt(act, arguments)
    with open(os.path.join(PLACE, "said.part"), "w") as stream:
        json.dump({"run": wanted["run"], "uid": os.getuid(), "said": said}, stream)
    os.rename(os.path.join(PLACE, "said.part"), os.path.join(PLACE, "said.json"))


def main():
    if flag("hang-stop"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while flag("hang-start"):
        time.sleep(0.5)
    notify("READY=1")
    while True:
        if not flag("hang-pings"):
            notify("WATCHDOG=1")
        if flag("go"):
            try_all()
        time.sleep(0.3)


main()
