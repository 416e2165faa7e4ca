# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on sockets that a probe tries: listen, connect, socket_family. Part of the probe program."""

from __future__ import annotations

import errno
import socket
import time

TIMEOUT = 2.0  # seconds for one connect
# Families whose creation loads no kernel module: trying the others would change the host.
FAMILIES = {
    "unix": (1, socket.SOCK_DGRAM, 0),
    "ipv4": (2, socket.SOCK_DGRAM, 0),
    "ipv6": (10, socket.SOCK_DGRAM, 0),
    "netlink": (16, socket.SOCK_RAW, 0),
    "packet": (17, socket.SOCK_RAW, 0),
}


def split(target):
    """``tcp/80``, ``tcp/127.0.0.1:80``, ``udp/[::1]:53`` -> (protocol, address or "", port)."""
    protocol, _slash, rest = target.partition("/")
    address, _colon, port = rest.rpartition(":")
    return protocol, address.strip("[]"), int(port)


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _sort(protocol):
    return socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM


def listen(target, request, tell):
    """Bind and listen, tell so, and wait for one connection or datagram from the other side."""
    protocol, address, port = split(target)
    address = address or "0.0.0.0"
    with socket.socket(_family(address), _sort(protocol)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if protocol == "tcp":
            server.listen(1)
        tell({"open": True})
        server.settimeout(TIMEOUT)
        try:
            if protocol == "tcp":
                server.accept()[0].close()
            else:
                server.recv(16)
        except socket.timeout:
            return {"done": False, "errno": "ETIMEDOUT", "bound": True}
    return {"done": True, "bound": True}


def connect(target, request, tell):
    """Connect, or send one empty datagram. ``request["device"]`` is the interface to use without a route."""
    protocol, address, port = split(target)
    with socket.socket(_family(address), _sort(protocol)) as client:
        client.settimeout(TIMEOUT)
        if request.get("device"):
            # Bound to a device the kernel takes an address without a route for a neighbour (ip(7)): the
            # packet passes the output hook, where the policy decides, and ends as a question for its MAC.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, request["device"].encode("ascii"))
        try:
            client.connect((address, port))
            if protocol == "udp":
                client.send(b"")
                time.sleep(0.05)  # a refusal by the firewall is answered on the next call
                client.send(b"")
        except socket.timeout:
            return {"done": False, "errno": "ETIMEDOUT"}
    return {"done": True}


def socket_family(target, request, tell):
    """Create a socket of a family and close it."""
    if target not in FAMILIES:
        return {"done": False, "errno": "", "unknown": True}
    socket.socket(*FAMILIES[target]).close()
    return {"done": True}


def failed(error):
    """The answer for an OSError of a socket; ``socket.gaierror`` carries no errno of the system."""
    return {"done": False, "errno": errno.errorcode.get(error.errno or 0, str(error.errno))}
