# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network exam tries: one row for each kind of probe.

Addresses are written short: ``4:17`` and ``6:17`` are the peer's 17th on the exam's nets, ``m:17`` the first of them as
a mapped one, ``self:4`` the host's own. The policy grants the 16th to the 19th, ports 41000 to 41999, and every port
and protocol of the 18th. Ports: ``granted`` and ``other`` are the next unused ones inside and outside of that range.
"""

from __future__ import annotations

from typing import Any, NamedTuple

UNIX = ("ipc.unix", "abstract sockets and other path sockets that file permissions allow can be reached")
HANDED = ("ipc.unix", "hand in a socket of its own")
ARRIVING = ("network.listen", "UDP-Lite, SCTP and DCCP are not matched when they arrive")
SHARED = ("network.listen", "where a program outside shares the port")
JOINING = ("network.connect", "joining a multicast group")
UDPLITE, SCTP, MPTCP = 136, 132, 262
NEWNET, NEWUSER = 0x40000000, 0x10000000


class Out(NamedTuple):
    """An act of the service. ``end``: who sees it: the peer, a program outside of the sandbox, or its own result."""

    name: str
    allowed: bool
    spec: dict[str, Any]
    end: str = "peer"
    child: bool = False  # may kill whoever tries it
    declared: tuple[str, str] = ("", "")


class In(NamedTuple):
    """Something that the service listens with, and who knocks there: the peer (``4``, ``6``) or a program beside it."""

    name: str
    allowed: bool
    listens: dict[str, Any]
    knock: dict[str, Any]
    outside: bool = False
    declared: tuple[str, str] = ("", "")


def _tcp(dst: str, port: Any = "granted", **more: Any) -> dict[str, Any]:
    return {"act": "tcp", "dst": dst, "port": port, **more}


def _udp(dst: str, port: Any = "granted", **more: Any) -> dict[str, Any]:
    return {"act": "udp", "dst": dst, "port": port, **more}


CORE_OUT = (
    Out("tcp4, granted", True, _tcp("4:17")),
    Out("tcp4, other port", False, _tcp("4:17", "other")),
    Out("tcp4, address below the network", False, _tcp("4:15")),
    Out("tcp4, address above the network", False, _tcp("4:20")),
    Out("tcp6, granted", True, _tcp("6:17")),
    Out("tcp6, other port", False, _tcp("6:17", "other")),
    Out("tcp6, address above the network", False, _tcp("6:20")),
    Out("mapped tcp, other address", False, _tcp("m:20")),
    Out("udp4, granted", True, _udp("4:17")),
    Out("udp4, other port", False, _udp("4:17", "other")),
    Out("udp4, other address", False, _udp("4:20")),
    Out("udp6, granted", True, _udp("6:17")),
    Out("udp6, other address", False, _udp("6:20")),
)
MORE_OUT = (
    Out("tcp4, first address of the network", True, _tcp("4:16")),
    Out("tcp4, last address of the network", True, _tcp("4:19")),
    Out("tcp4, first port of the range", True, _tcp("4:17", 41000)),
    Out("tcp4, last port of the range", True, _tcp("4:17", 41999)),
    Out("tcp4, port below the range", False, _tcp("4:17", 40999)),
    Out("tcp4, port above the range", False, _tcp("4:17", 42000)),
    Out("udp4, port below the range", False, _udp("4:17", 40999)),
    Out("udp4, port above the range", False, _udp("4:17", 42000)),
    Out("tcp6, address below the network", False, _tcp("6:15")),
    Out("tcp6, first address of the network", True, _tcp("6:16")),
    Out("tcp6, last address of the network", True, _tcp("6:19")),
    Out("mapped tcp, granted", True, _tcp("m:17")),
    Out("mapped tcp, other port", False, _tcp("m:17", "other")),
    Out("mapped udp, granted", True, _udp("m:17")),
    Out("mapped udp, other address", False, _udp("m:20")),
    Out("udp4 connected, granted", True, _udp("4:17", way="connect")),
    Out("udp4 connected, other address", False, _udp("4:20", way="connect")),
    Out("udp4 sendmsg, other address", False, _udp("4:20", way="sendmsg")),
    Out("udp4 connected anew elsewhere", False, _udp("4:20", way="moved", before="4:17")),
    Out("udp4 sent elsewhere while connected", False, _udp("4:20", way="other", before="4:17")),
    Out("udp4 past the routes", False, _udp("4:20", way="dontroute")),
    Out("udp4 in fragments, granted", True, _udp("4:17", pad=4000)),
    Out("udp4 in fragments, other address", False, _udp("4:20", pad=4000)),
    Out("tcp4, every port granted", True, _tcp("4:18", "other")),
    Out("udp4, every port granted", True, _udp("4:18", "other")),
    Out("ping socket, granted", True, {"act": "ping", "dst": "4:18"}),
    Out("ping socket, other address", False, {"act": "ping", "dst": "4:17"}),
    Out("ping socket of IPv6", False, {"act": "ping", "dst": "6:17"}),
    Out("fast open, granted", True, {"act": "fastopen", "dst": "4:17", "port": "granted"}),
    Out("fast open, other port", False, {"act": "fastopen", "dst": "4:17", "port": "other"}),
    Out("MPTCP, granted", True, _tcp("4:17", protocol=MPTCP)),
    Out("MPTCP, other address", False, _tcp("4:20", protocol=MPTCP)),
    Out("UDP-Lite, every protocol granted", True, _udp("4:18", protocol=UDPLITE)),
    Out("UDP-Lite, granted for UDP", False, _udp("4:17", protocol=UDPLITE)),
    Out("SCTP, every protocol granted", True, {"act": "sctp", "dst": "4:18", "port": "granted"}),
    Out("SCTP, granted for TCP", False, {"act": "sctp", "dst": "4:17", "port": "granted"}),
    Out("DCCP", False, {"act": "dccp", "dst": "4:17", "port": "granted"}),
    Out("tcp4 from a port that it may listen on", False, _tcp("4:20", **{"from": 42111})),
    Out("udp4 from a port that it may listen on", False, _udp("4:20", **{"from": 42111})),
    Out("udp4 from port 53", False, _udp("4:20", **{"from": 53})),
    Out("udp4 with a mark", False, _udp("4:20", mark=7)),
    Out("udp4 bound to the device, granted", True, _udp("4:17", device=1)),
    Out("udp4 bound to the device, other address", False, _udp("4:20", device=1)),
    Out("udp4 by a source route", False, _udp("4:17", route="4:20")),
    Out("link-local IPv6", False, _udp("link", "granted")),
    Out("multicast of IPv4", False, _udp("239.77.1.1", group=1)),
    Out("multicast of IPv6", False, _udp("ff05::77", group=1)),
    Out("multicast of the link", False, _udp("ff02::77%", group=1)),
    Out("broadcast on the net", False, _udp("4:255")),
    Out("broadcast to everybody", False, _udp("255.255.255.255", device=1)),
    Out("joining a multicast group", False, {"act": "join", "dst": "239.77.9.9"}, declared=JOINING),
    Out("raw ICMP", False, {"act": "ping", "dst": "4:17", "raw": 1}, child=True),
    Out("raw datagram", False, {"act": "raw", "dst": "4:17", "port": "granted", "source": "self:4"}, child=True),
    Out("packet socket", False, {"act": "packet"}, child=True),
    Out("moved to another control group", False, {**_udp("4:20"), "act": "moved"}, child=True),
    Out("loopback, granted", True, _tcp("127.0.0.1", 41500), "outside"),
    Out("loopback, other port", False, _tcp("127.0.0.1", 41501), "outside"),
    Out("loopback of IPv6, granted", True, _tcp("::1", 41500), "outside"),
    Out("loopback of IPv6, other port", False, _tcp("::1", 41501), "outside"),
    Out("udp on loopback, other port", False, _udp("127.0.0.1", 41502), "outside"),
    Out("the host's own address", False, _tcp("self:4", 41501), "outside"),
    Out("UNIX socket by path, granted", True, {"act": "unix", "dst": "/run/exam-granted/socket"}, "outside"),
    Out("UNIX socket by path", False, {"act": "unix", "dst": "/run/exam-outside/socket"}, "outside", declared=UNIX),
    Out("abstract UNIX socket", False, {"act": "unix", "dst": "@exam-outside"}, "outside", declared=UNIX),
    Out("system bus", False, {"act": "unix", "dst": "/run/dbus/system_bus_socket"}, "itself"),
    *(
        Out(f"socket of {name}", False, {"act": "family", "family": number, "sort": sort}, "itself", child=True)
        for name, number, sort in (
            ("netlink", 16, 3), ("packet", 17, 3), ("vsock", 40, 1), ("the kernel's crypto", 38, 5), ("XDP", 44, 3),
        )
    ),
    Out("network namespace", False, {"act": "namespace", "flags": NEWNET}, "itself", child=True),
    Out("user and network namespace", False, {"act": "namespace", "flags": NEWUSER | NEWNET}, "itself", child=True),
    Out("io_uring", False, {"act": "calls", "calls": [[425, 8, "buffer"]]}, "itself", child=True),
)  # fmt: skip

CORE_IN = (
    In("accepting tcp4, granted", True, {"at": "0.0.0.0", "port": 42110}, {"dst": "4"}),
    In("accepting tcp4, other port", False, {"at": "0.0.0.0", "port": 42201}, {"dst": "4"}),
    In("accepting tcp6, granted", True, {"at": "::", "port": 42112}, {"dst": "6"}),
    In("accepting tcp6, other port", False, {"at": "::", "port": 42202}, {"dst": "6"}),
    In("receiving udp4, granted", True, {"at": "0.0.0.0", "port": 42100, "datagram": 1}, {"dst": "4"}),
    In("receiving udp4, other port", False, {"at": "0.0.0.0", "port": 42203, "datagram": 1}, {"dst": "4"}),
)
MORE_IN = (
    In("accepting on one address, other port", False, {"at": "self:4", "port": 42204}, {"dst": "4"}),
    In("accepting mapped tcp, granted", True, {"at": "::", "port": 42113}, {"dst": "4"}),
    In("accepting mapped tcp, other port", False, {"at": "::", "port": 42205}, {"dst": "4"}),
    In("accepting, last port of the range", True, {"at": "0.0.0.0", "port": 42119}, {"dst": "4"}),
    In("accepting, port below the range", False, {"at": "0.0.0.0", "port": 42109}, {"dst": "4"}),
    In("accepting, port above the range", False, {"at": "0.0.0.0", "port": 42120}, {"dst": "4"}),
    In("accepting, granted for udp", False, {"at": "0.0.0.0", "port": 42100}, {"dst": "4"}),
    In("receiving, granted for tcp", False, {"at": "0.0.0.0", "port": 42111, "datagram": 1}, {"dst": "4"}),
    In("receiving udp6, other port", False, {"at": "::", "port": 42206, "datagram": 1}, {"dst": "6"}),
    In("receiving mapped udp, other port", False, {"at": "::", "port": 42207, "datagram": 1}, {"dst": "4"}),
    In("listening without bind", False, {"at": "0.0.0.0"}, {"dst": "4"}),
    In("accepting MPTCP, granted", True, {"at": "0.0.0.0", "port": 42114, "protocol": MPTCP}, {"dst": "4"}),
    In("accepting MPTCP, other port", False, {"at": "0.0.0.0", "port": 42208, "protocol": MPTCP}, {"dst": "4"}),
    In("receiving UDP-Lite", False, {"at": "0.0.0.0", "port": 42209, "datagram": 1, "protocol": UDPLITE},
       {"dst": "4"}, declared=ARRIVING),
    In("receiving UDP-Lite on a port that sending took", False,
       {"at": "0.0.0.0", "datagram": 1, "protocol": UDPLITE, "to": "4:20"}, {"dst": "4"}, declared=ARRIVING),
    In("receiving udp4 on a port that sending took", False, {"at": "0.0.0.0", "datagram": 1, "to": "4:20"},
       {"dst": "4"}),
    In("accepting SCTP", False, {"at": "0.0.0.0", "port": 42210, "protocol": SCTP}, {"dst": "4"}, declared=ARRIVING),
    In("receiving from a group, other port", False,
       {"at": "0.0.0.0", "port": 42211, "datagram": 1, "group": "239.77.2.2"}, {"dst": "239.77.2.2", "device": 1}),
    In("receiving a broadcast, other port", False, {"at": "0.0.0.0", "port": 42212, "datagram": 1},
       {"dst": "255.255.255.255", "device": 1}),
    In("receiving a broadcast, port shared", False, {"at": "0.0.0.0", "port": 42213, "datagram": 1, "shared": 1},
       {"dst": "255.255.255.255", "device": 1}, declared=SHARED),
    In("accepting on loopback, granted", True, {"at": "127.0.0.1", "port": 42115}, {"dst": "127.0.0.1"}, outside=True),
    In("accepting on loopback, other port", False, {"at": "127.0.0.1", "port": 42214}, {"dst": "127.0.0.1"},
       outside=True),
    In("accepting on loopback of IPv6, other port", False, {"at": "::1", "port": 42215}, {"dst": "::1"}, outside=True),
)  # fmt: skip
