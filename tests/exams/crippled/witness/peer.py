# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The world outside of the sandbox: answers on ports and sockets, and does what a witness asks of it.

As a module: ``ask(op=...)``, from inside. As a program: the peer itself, as root, in no sandbox.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import sys
import threading
import time

PLACE = "/run/exam-peer/granted.sock"
TCP = (7101, 7102, 7103, 7104, 7106)
UDP = (7101, 7105, 7106, 53)
PATHS = (PLACE, "/run/exam-peer/other.sock", "/run/docker.sock", "/run/memcached/exam.sock")
SHM_KEY = 0x45584D
burning = {"seconds": 0.0, "end": 0.0}


def ask(**request):
    """Over the one socket that every policy of the exam grants."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as out:
        out.settimeout(12)
        out.connect(PLACE)
        out.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(out.makefile().readline())


def knock(protocol, address, port):
    """Later, so that whoever asked can be waiting."""

    def go():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
        with contextlib.suppress(OSError), socket.socket(family, kind) as out:
            out.settimeout(2)
            out.connect((address, port))
            out.send(b"knock")
            time.sleep(0.2)

    threading.Thread(target=go).start()
    return {}


def clients(address, port, count):
    """How many of so many connections are open at once; a short patience, as those past the limit are refused."""
    held = []
    for _unused in range(count):
        with contextlib.suppress(OSError):
            held.append(socket.create_connection((address, port), 0.7))
    for out in held:
        out.close()
    return {"count": len(held)}


def swap(path, other):
    os.rename(path, path + ".aside")
    os.rename(other, path)
    return {}


def swap_back(path, other):
    with contextlib.suppress(OSError):
        os.rename(path, other)
        os.rename(path + ".aside", path)
    return {}


def _work(function):
    """In a process of its own: seconds of processor, or blocks of disk."""
    inward, outward = os.pipe()
    if os.fork() == 0:
        os.write(outward, str(function()).encode())
        os._exit(0)
    os.close(outward)
    burning["pipe"] = inward
    return {}


def burn(seconds):
    from acts_limits import burn as work

    return _work(lambda: work(seconds))


def disk(path, seconds):
    from acts_limits import write_direct

    return _work(lambda: write_direct(path, seconds)[0])


def burnt():
    said = os.read(burning["pipe"], 64)
    os.close(burning.pop("pipe"))
    return {"seconds": float(said or 0)}


def exists(path):
    return {"done": os.path.exists(path)}


OPS = {f.__name__: f for f in (knock, clients, swap, swap_back, burn, disk, burnt, exists)}


def serve_request(taken):
    with taken, contextlib.suppress(OSError, ValueError):
        request = json.loads(taken.makefile().readline())
        taken.sendall(json.dumps(OPS[request.pop("op")](**request)).encode() + b"\n")


def accept(server, work):
    while True:
        taken = server.accept()[0]
        threading.Thread(target=work, args=(taken,), daemon=True).start()


def answer(taken):
    with contextlib.suppress(OSError):
        taken.sendall(b"answer")
        taken.recv(1)  # open until the other end closes
    taken.close()


def echo(server):
    while True:
        with contextlib.suppress(OSError):
            server.sendto(b"answer", server.recvfrom(64)[1])


def listen_on(family, kind, address):
    server = socket.socket(family, kind)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.bind(address)
    if kind == socket.SOCK_STREAM:
        server.listen(64)
    return server


def main():
    os.umask(0)
    jobs = []
    for path in PATHS:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        with contextlib.suppress(OSError):
            os.unlink(path)
        server = listen_on(socket.AF_UNIX, socket.SOCK_STREAM, path)
        jobs.append((accept, (server, serve_request if path == PLACE else answer)))
    jobs.append((accept, (listen_on(socket.AF_UNIX, socket.SOCK_STREAM, "\0exam-peer"), answer)))
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        with contextlib.suppress(OSError):  # a host without IPv6
            for port in TCP:
                jobs.append((accept, (listen_on(family, socket.SOCK_STREAM, (host, port)), answer)))
            for port in UDP:
                jobs.append((echo, (listen_on(family, socket.SOCK_DGRAM, (host, port)),)))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.shmget(SHM_KEY, 4096, 0o1666)
    libc.syscall(240, b"exam-queue", 0o102, 0o666, 0)
    for work, arguments in jobs[1:]:
        threading.Thread(target=work, args=arguments, daemon=True).start()
    print("ready", flush=True)
    jobs[0][0](*jobs[0][1])


if __name__ == "__main__":
    sys.exit(main())
