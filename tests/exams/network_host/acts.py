# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a confined process tries on the network, one function for each act. Runs on the host: standard library only.

Each takes a dict (``dst``, ``port``, ``token`` and its own words), raises OSError where the kernel refuses, and
returns nothing: whether it had an effect is for the other end to say.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import time
from pathlib import Path

LIMIT = 4.0
DEVICE = Path(__file__).with_name("device").read_text().strip()  # of the net between the hosts
SCTP, UDPLITE, DCCP, MPTCP = 132, 136, 33, 262
IP_OPTIONS, IP_ADD_MEMBERSHIP, SO_BINDTODEVICE, SO_MARK, MSG_FASTOPEN, MSG_DONTROUTE = (
    4,
    35,
    25,
    36,
    0x20000000,
    4,
)
TCP_FASTOPEN_NO_COOKIE = 34
LIBC = ctypes.CDLL(None, use_errno=True)


def _address(spec, port=None):
    port = spec["port"] if port is None else port
    dst = spec["dst"]
    if ":" not in dst:
        return socket.AF_INET, (dst, port)
    host, percent, _scope = dst.partition("%")
    return socket.AF_INET6, (host, port, 0, socket.if_nametoindex(DEVICE) if percent else 0)


def _socket(spec, sort, protocol=0):
    family, address = _address(spec)
    made = socket.socket(family, sort, protocol)
    made.settimeout(LIMIT)
    if "device" in spec:
        made.setsockopt(socket.SOL_SOCKET, SO_BINDTODEVICE, DEVICE.encode())
    if "mark" in spec:
        with contextlib.suppress(OSError):  # the act goes on without it
            made.setsockopt(socket.SOL_SOCKET, SO_MARK, spec["mark"])
    if "from" in spec:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", spec["from"]))
    if "route" in spec:  # loose source route: the header goes to ``route``, the packet is for ``dst``
        hop = socket.inet_aton(spec["route"])
        made.setsockopt(socket.IPPROTO_IP, IP_OPTIONS, b"\x83\x07\x04" + hop + b"\x00")
    return made, address


def tcp(spec):
    made, address = _socket(spec, socket.SOCK_STREAM, spec.get("protocol", 0))
    with made:
        made.connect(address)
        made.sendall(spec["token"].encode())
        time.sleep(0.05)


def fastopen(spec):
    """Data in the first segment, which needs no cookie of the server's."""
    made, address = _socket(spec, socket.SOCK_STREAM)
    with made:
        made.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        made.settimeout(None)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 2, 0))
        made.sendto(spec["token"].encode(), MSG_FASTOPEN, address)
        time.sleep(0.1)


def udp(spec):
    """``way``: connect, sendto, sendmsg, dontroute, moved (connected elsewhere before), or other (while connected)."""
    made, address = _socket(spec, socket.SOCK_DGRAM, spec.get("protocol", 0))
    data = spec["token"].encode() + b"x" * spec.get("pad", 0)
    way = spec.get("way", "sendto")
    with made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if "group" in spec:  # the device that datagrams to a group leave by
            index = socket.if_nametoindex(DEVICE)
            if made.family == socket.AF_INET:
                choice = struct.pack("4s4si", bytes(4), bytes(4), index)
                made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, choice)
            else:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        if way in ("moved", "other"):
            made.connect((spec["before"], spec["port"]))
            made.send(b"before")
        if way in ("connect", "moved"):
            made.connect(address)
            made.send(data)
        elif way == "sendmsg":
            made.sendmsg([data], [], 0, address)
        else:
            made.sendto(data, MSG_DONTROUTE if way == "dontroute" else 0, address)


def sctp(spec):
    tcp({**spec, "protocol": SCTP})


def dccp(spec):
    family, address = _address(spec)
    with socket.socket(family, 6, DCCP) as made:
        made.settimeout(LIMIT)
        made.setsockopt(269, 2, struct.pack(">I", 1))  # SOL_DCCP, DCCP_SOCKOPT_SERVICE
        made.connect(address)


def ping(spec):
    """A ping socket, or with ``raw`` a raw one."""
    family, address = _address({**spec, "port": 0})
    four = family == socket.AF_INET
    sort = socket.SOCK_RAW if spec.get("raw") else socket.SOCK_DGRAM
    with socket.socket(family, sort, socket.IPPROTO_ICMP if four else socket.IPPROTO_ICMPV6) as made:
        head = struct.pack(">BBHHH", 8 if four else 128, 0, 0, 7, 1)
        data = head + spec["token"].encode()
        words = struct.unpack(f">{len(data) // 2}H", data[: len(data) // 2 * 2])
        total = sum(words) + (data[-1] << 8 if len(data) % 2 else 0)
        total = (total & 0xFFFF) + (total >> 16)
        check = ~(total + (total >> 16)) & 0xFFFF
        made.sendto(data[:2] + struct.pack(">H", check) + data[4:], address)


def raw(spec):
    """A whole IPv4 datagram of one's own making."""
    data = spec["token"].encode()
    source, target = socket.inet_aton(spec["source"]), socket.inet_aton(spec["dst"])
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 1, 0, 64, 17, 0, source, target)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as made:
        made.sendto(
            head + struct.pack(">HHHH", 7, spec["port"], 8 + len(data), 0) + data, (spec["dst"], spec["port"])
        )


def packet(spec):
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as made:
        made.sendto(spec["token"].encode(), (DEVICE, 0x88B5, 0, 0, b"\xff" * 6))


def family(spec):
    socket.socket(spec["family"], spec["sort"], spec.get("protocol", 0)).close()


def join(spec):
    """The kernel itself tells the net which groups somebody here listens to."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        choice = struct.pack("4s4si", socket.inet_aton(spec["dst"]), bytes(4), socket.if_nametoindex(DEVICE))
        made.setsockopt(socket.IPPROTO_IP, IP_ADD_MEMBERSHIP, choice)
        time.sleep(0.3)


def unix(spec):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.settimeout(LIMIT)
        made.connect(spec["dst"].replace("@", "\0", 1))
        made.sendall(spec["token"].encode())


def name(spec):
    """To whatever the name means now."""
    found = socket.getaddrinfo(spec["dst"], spec["port"], socket.AF_INET, socket.SOCK_DGRAM)[0][4]
    udp({**spec, "dst": found[0]})


def calls(spec):
    """System calls by number; the word "buffer" stands for memory that the kernel may fill."""
    for number, *arguments in spec["calls"]:
        words = [ctypes.create_string_buffer(120) if word == "buffer" else word for word in arguments]
        if LIBC.syscall(number, *words) < 0:
            raise OSError(ctypes.get_errno(), f"system call {number}")


def moved(spec):
    """Out of the control group that the rules match, then another act."""
    with open("/sys/fs/cgroup/cgroup.procs", "w", encoding="ascii") as stream:
        stream.write(str(os.getpid()))
    udp(spec)


def namespace(spec):
    """A network of its own, and whatever else the flags of unshare(2) name."""
    if LIBC.unshare(spec["flags"]) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


KINDS = {
    function.__name__: function
    for function in (
        tcp, fastopen, udp, sctp, dccp, ping, raw, packet, family, join, unix, name, calls, moved, namespace,
    )
}  # fmt: skip


def attempt(spec):
    """ "" where the act went through, as far as the process itself can tell; else the name of the error."""
    try:
        KINDS[spec["act"]](spec)
    except TimeoutError:
        return "ETIMEDOUT"
    except OSError as problem:
        return errno.errorcode.get(problem.errno or 0, str(problem))
    return ""
