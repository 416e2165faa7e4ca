# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of the exam's connections, on the same host and outside of the sandbox.

outside.py serve PORTS    says hello on these ports, TCP and UDP, over IPv4 and IPv6, until it is ended
outside.py try JSON       connects to the service's ports: {id: "ok" or the name of an errno} as JSON
"""

from __future__ import annotations

import errno
import json
import selectors
import socket
import sys
import time


def serve(ports: list[int]) -> None:
    chooser = selectors.DefaultSelector()
    for port in ports:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            # Each address by its name: a datagram's answer must come from where it was sent to.
            for family, address in (
                *((socket.AF_INET, f"127.0.0.{n}") for n in (1, 2, 3)),
                (socket.AF_INET6, "::1"),
            ):
                one = socket.socket(family, kind)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                one.bind((address, port))
                if kind == socket.SOCK_STREAM:
                    one.listen(64)
                chooser.register(one, selectors.EVENT_READ)
    kept: list[socket.socket] = []
    while True:
        for key, _events in chooser.select():
            one = key.fileobj
            if one.type == socket.SOCK_DGRAM:
                _data, peer = one.recvfrom(64)
                one.sendto(b"hello", peer)
            else:
                kept.append(one.accept()[0])
                kept[-1].send(b"hello")
                if len(kept) > 200:
                    kept.pop(0).close()


def attempt(act) -> str:
    kind = socket.SOCK_DGRAM if act["protocol"] == "udp" else socket.SOCK_STREAM
    one = socket.socket(socket.AF_INET, kind)
    one.settimeout(5)
    try:
        one.connect(("127.0.0.1", act["port"]))
        one.send(b"hello")
        return "ok" if one.recv(16) else "closed"
    except TimeoutError:
        return "timeout"
    except OSError as problem:
        return errno.errorcode.get(problem.errno, str(problem.errno))


def main() -> None:
    if sys.argv[1] == "serve":
        serve([int(port) for port in sys.argv[2].split(",")])
    found = {}
    for act in json.loads(sys.argv[2]):
        found[act["id"]] = attempt(act)
        time.sleep(act.get("pause", 0.25))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
