# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Acts on sockets. What counts is what the other end has seen."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import time

from peer import ask

PATIENCE = 2.0
FAMILIES = {"ipv4": 2, "ipv6": 10, "netlink": 16, "packet": 17, "alg": 38, "vsock": 40, "bluetooth": 31}
LIBC = ctypes.CDLL(None, use_errno=True)


def _family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def connect(protocol, address, port):
    """The peer's answer has to come back."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(_family(address), kind) as out:
        out.settimeout(PATIENCE)
        out.connect((address, port))
        if protocol == "udp":
            out.send(b"exam")
        return out.recv(16) == b"answer", "answered"


def connect_many(address, port, count):
    """So many connections at once."""
    held = []
    with contextlib.suppress(OSError):
        for _unused in range(count):
            out = socket.create_connection((address, port), PATIENCE)
            held.append(out)
            out.recv(16)
    return len(held) == count, "%d of %d" % (len(held), count)


def connect_fast(address, port, count):
    """So many connections one after the other, as fast as it can."""
    done, began = 0, time.monotonic()
    for _unused in range(count):
        with contextlib.suppress(OSError), socket.create_connection((address, port), 0.5):
            done += 1
    return done == count, "%d of %d in %.1f s" % (done, count, time.monotonic() - began)


def connect_mapped(address, port):
    """An address of version 4 in the clothes of version 6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as out:
        out.settimeout(PATIENCE)
        out.connect(("::ffff:" + address, port))
        return out.recv(16) == b"answer", "answered"


def _multicast_sent():
    """IPv4 packets to groups that left this network namespace: proc_net_netstat, IpExt OutMcastPkts."""
    with open("/proc/self/net/netstat") as stream:
        names, values = [line.split() for line in stream if line.startswith("IpExt:")]
    return int(values[names.index("OutMcastPkts")])


def join_group(address):
    """The kernel reports a membership to the link by itself, a few times within some seconds. Interfaces are tried by
    number, not by the route (there may be none for a group) and not by name (a unit may ask nobody for it)."""
    before, end = _multicast_sent(), time.monotonic() + 4
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as member:
        for number in range(2, 65):  # 1 is the loopback
            with contextlib.suppress(OSError):
                mreqn = struct.pack("=4s4si", socket.inet_aton(address), b"", number)
                member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, mreqn)
        while _multicast_sent() == before and time.monotonic() < end:
            time.sleep(0.1)
    return _multicast_sent() > before, "%d reports" % (_multicast_sent() - before)


def bind(protocol, address, port):
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(_family(address), kind) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if protocol == "tcp":
            server.listen(8)
    return True, "bound"


def listen(protocol, address, port):
    """The peer outside must get through to it."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(_family(address), kind) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.settimeout(PATIENCE + 1)
        server.bind((address, port))
        if protocol == "tcp":
            server.listen(8)
        return _reached(server, protocol, address, port)


def _reached(server, protocol, address, port):
    ask(op="knock", protocol=protocol, address=address, port=port)
    try:
        if protocol == "udp":
            return server.recv(16) == b"knock", "received"
        with server.accept()[0] as taken:
            taken.settimeout(PATIENCE)
            return taken.recv(16) == b"knock", "accepted"
    except socket.timeout:
        return False, "nobody came"


def listen_unbound():
    """listen(2) without bind(2): the kernel chooses a port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.settimeout(PATIENCE + 1)
        server.listen(8)
        return _reached(server, "tcp", "127.0.0.1", server.getsockname()[1])


def serve_many(address, port, count):
    """So many clients of the peer's at once."""
    with socket.socket(_family(address), socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        server.listen(64)
        got = ask(op="clients", address=address, port=port, count=count)["count"]
    return got == count, "%d of %d" % (got, count)


def family(which):
    """A socket of this family; what the kernel does not know at all is no denial of the sandbox's."""
    kind = {"packet": socket.SOCK_RAW, "netlink": socket.SOCK_RAW, "alg": socket.SOCK_SEQPACKET}
    kinds = {"bluetooth": socket.SOCK_RAW, **kind}
    handle = LIBC.socket(FAMILIES[which], kinds.get(which, socket.SOCK_STREAM), 0)
    if handle < 0:
        raise OSError(ctypes.get_errno(), which)
    os.close(handle)
    return True, "made"


def raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    return True, "made"


def unix(address):
    """The peer's socket by path, or by "@name" in the kernel's own room."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as out:
        out.settimeout(PATIENCE)
        out.connect("\0" + address[1:] if address[0] == "@" else address)
        return True, "connected"


def shared_memory(key):
    """System V memory that the peer has made (shmget(2))."""
    found = LIBC.shmget(key, 4096, 0)
    if found < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    return True, "found"


def message_queue(name):
    """A POSIX queue that the peer has made (mq_open(3))."""
    handle = LIBC.syscall(240, name.lstrip("/").encode(), 2, 0, 0)
    if handle < 0:
        raise OSError(ctypes.get_errno(), "mq_open")
    return True, "opened"


def bus():
    """A name on the system bus: authenticate, as D-Bus has it, and be answered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as out:
        out.settimeout(PATIENCE)
        out.connect("/run/dbus/system_bus_socket")
        out.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        said = out.recv(64)
        return said.startswith(b"OK"), said[:20].decode("ascii", "replace")


def shared_file(name):
    """A file of the host's /dev/shm."""
    return os.path.exists("/dev/shm/" + name), errno.errorcode[errno.ENOENT]


ACTS = {
    function.__name__: function
    for function in (
        connect, connect_many, connect_fast, connect_mapped, join_group, bind, listen, listen_unbound, serve_many,
        family, raw_socket, unix, shared_memory, message_queue, bus, shared_file,
    )
}  # fmt: skip
