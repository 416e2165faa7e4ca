# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exam's application: does the acts that it finds in a file, one after the other, and writes down how each ended.

Runs as the unit's main process, so that every act goes through the unit's own confinement. An answer is "ok" or the
name of an errno. Acts that may kill or change a process are done in a child.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import socket
import sys
import time

FOLDER = "/var/lib/exam-denials"
LIBC = ctypes.CDLL(None, use_errno=True)
LISTENERS: list[socket.socket] = []
HELD: list[socket.socket] = []


def name(number: int) -> str:
    return errno.errorcode.get(number, str(number)) if number else "ok"


def in_child(work) -> str:
    """How ``work`` ended in a child: its errno's name, or the signal that ended the child."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = work() & 0xFF
        except OSError as problem:
            code = problem.errno or 98
        except MemoryError:
            code = errno.ENOMEM
        finally:
            os._exit(code)
    _pid, status = os.waitpid(child, 0)
    return name(os.WEXITSTATUS(status)) if os.WIFEXITED(status) else f"signal {os.WTERMSIG(status)}"


def argument(value):
    """Numbers as they are; text is a C string, {"zeros": n} is memory."""
    if isinstance(value, str):
        return ctypes.c_char_p(value.encode())
    if isinstance(value, dict):
        return ctypes.create_string_buffer(value["zeros"])
    return ctypes.c_long(value)


def call(act) -> str:
    """One system call by number, with arguments that change nothing."""

    def work() -> int:
        result = LIBC.syscall(ctypes.c_long(act["number"]), *[argument(value) for value in act["with"]])
        if act["number"] == 56 and result == 0:  # clone: this is its child
            os._exit(0)
        return ctypes.get_errno() if result == -1 else 0

    return in_child(work)


def connect(act) -> str:
    family = socket.AF_INET6 if ":" in act["address"] else socket.AF_INET
    kind = socket.SOCK_DGRAM if act["protocol"] == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as one:
        one.settimeout(4)
        try:
            one.connect((act["address"], act["port"]))
            one.send(b"hello")
            return "ok" if one.recv(16) else "closed"
        except TimeoutError:
            return "timeout"
        except OSError as problem:
            return name(problem.errno)


def hold(act) -> str:
    """A connection that stays open until the next batch."""
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    one.settimeout(4)
    HELD.append(one)
    try:
        one.connect((act["address"], act["port"]))
        return "ok"
    except TimeoutError:
        return "timeout"
    except OSError as problem:
        return name(problem.errno)


def listen(act) -> str:
    kind = socket.SOCK_DGRAM if act["protocol"] == "udp" else socket.SOCK_STREAM
    one = socket.socket(socket.AF_INET, kind)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind(("0.0.0.0", act["port"]))
        if kind == socket.SOCK_STREAM:
            one.listen(64)
    except OSError as problem:
        return name(problem.errno)
    LISTENERS.append(one)
    return "ok"


def family(act) -> str:
    try:
        socket.socket(act["family"], act["type"], 0).close()
        return "ok"
    except OSError as problem:
        return name(problem.errno)


def read(act) -> str:
    try:
        with open(act["path"], "rb") as stream:
            stream.read(1)
        return "ok"
    except OSError as problem:
        return name(problem.errno)


def execute(act) -> str:
    def work() -> int:
        os.execv(act["path"], [act["path"]])
        return 0

    return in_child(work)


def memory(act) -> str:
    def work() -> int:
        block = mmap.mmap(-1, act["bytes"])
        for at in range(0, act["bytes"], 4096):
            block[at] = 1
        return 0

    return in_child(work)


def fork(act) -> str:
    """So many children at once; "ok" where all of them came."""
    children, failed = [], ""
    for _each in range(act["count"]):
        try:
            child = os.fork()
        except OSError as problem:
            failed = name(problem.errno)
            continue
        if child == 0:
            time.sleep(60)
            os._exit(0)
        children.append(child)
    for child in children:
        os.kill(child, 9)
        os.waitpid(child, 0)
    return failed or "ok"


def switch(act) -> str:
    """Become oneself: the real work of setgroups needs its capability, the call alone does not do."""

    def work() -> int:
        os.setgroups([os.getgid()])
        return 0

    return in_child(work)


def cost(act) -> str:
    """Microseconds of one call, by the quickest of twenty batches."""
    words, batches = [argument(value) for value in act["with"]], []
    for _batch in range(20):
        began = time.perf_counter()
        for _each in range(act["count"]):
            LIBC.syscall(ctypes.c_long(act["number"]), *words)
        batches.append((time.perf_counter() - began) / act["count"])
    return f"{min(batches) * 1e6:.1f}"


DOINGS = (call, connect, cost, hold, listen, family, read, execute, memory, fork, switch)
ACTS = {one.__name__: one for one in DOINGS}


def answer(acts) -> dict[str, str]:
    for one in (*LISTENERS, *HELD):
        one.close()
    LISTENERS.clear()
    HELD.clear()
    found = {}
    for act in acts:
        try:
            found[act["id"]] = ACTS[act["do"]](act)
        except Exception as problem:  # an act that breaks is an answer as well
            found[act["id"]] = f"broken: {problem!r}"[:200]
        time.sleep(act.get("pause", 0))
    return found


def main() -> None:
    last = ""
    print("exam-denials is up", flush=True)
    while True:
        try:
            with open(f"{FOLDER}/acts.json") as stream:
                text = stream.read()
        except OSError:
            text = ""
        if text and text != last:
            last = text
            wish = json.loads(text)
            found = answer(wish["acts"])
            with open(f"{FOLDER}/answers.new", "w") as stream:
                json.dump({"batch": wish["batch"], "answers": found}, stream)
            os.rename(f"{FOLDER}/answers.new", f"{FOLDER}/answers.json")  # noqa: PTH104
        serve()


def serve() -> None:
    """Say hello on every listener for half a second."""
    end = time.monotonic() + 0.5
    for one in LISTENERS:
        one.setblocking(False)
    while time.monotonic() < end:
        for one in LISTENERS:
            try:
                if one.type == socket.SOCK_DGRAM:
                    _data, peer = one.recvfrom(16)
                    one.sendto(b"hello", peer)
                else:
                    # Closed at once: the policy allows four at a time.
                    with one.accept()[0] as caller:
                        caller.send(b"hello")
            except OSError:
                pass
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
