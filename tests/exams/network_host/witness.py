# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other end of the network exam, as root and confined by nothing: it records what arrives, and sends.

witness.py     requests as lines of JSON on standard input, answers on standard output, until the input ends
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

DEVICE = Path(__file__).with_name("device").read_text().strip()
CONTROL = "/run/exam-network/control"
TOKEN = re.compile(rb"bk:[a-z0-9-]+;")
PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp", 136: "udplite", 33: "dccp"}

seen: set[str] = set()
told: set[str] = set()
listening: dict[str, socket.socket] = {}
held: dict[str, socket.socket] = {}


def note(frame):
    """Tokens of a frame that came in, "tcp ADDRESS PORT" for segments without one, "igmp GROUP" for reports."""
    for token in TOKEN.findall(frame):
        seen.add(token.decode())
    kind = struct.unpack(">H", frame[12:14])[0]
    if kind == 0x0800:
        header, protocol = 14 + (frame[14] & 15) * 4, frame[23]
        target = socket.inet_ntoa(frame[30:34])
    elif kind == 0x86DD:
        header, protocol = 54, frame[20]
        target = socket.inet_ntop(socket.AF_INET6, frame[38:54])
    else:
        return
    if protocol in PROTOCOLS and len(frame) >= header + 4:
        port = struct.unpack(">H", frame[header + 2 : header + 4])[0]
        seen.add(f"{PROTOCOLS[protocol]} {target} {port}")
    if protocol == 2:
        for place in range(header, len(frame) - 3):
            seen.add("igmp " + socket.inet_ntoa(frame[place : place + 4]))


def sniff():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as everything:
        everything.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        everything.bind((DEVICE, 0))
        while True:
            frame, (_device, _kind, direction, *_rest) = everything.recvfrom(65535)
            if direction != socket.PACKET_OUTGOING:
                note(frame)


def attend():
    """Accept and read wherever something listens; what comes is kept by token."""
    clients: list[socket.socket] = []
    while True:
        with contextlib.suppress(OSError, ValueError):
            ready, _w, _x = select.select([*listening.values(), *clients], [], [], 0.1)
            for one in ready:
                if one in clients:
                    data = b""
                    with contextlib.suppress(OSError):
                        data = one.recv(2048)
                    if not data:
                        clients.remove(one)
                        one.close()
                elif one.type == socket.SOCK_DGRAM:
                    data = one.recv(65535)
                else:
                    client, _address = one.accept()
                    clients.append(client)
                    for key, server in list(listening.items()):
                        if server is one and key.startswith("keep "):
                            held[key[5:]] = client
                    continue
                told.update(token.decode() for token in TOKEN.findall(data))


def listen(request):
    """``places``: [name, protocol, address, port]; an address with a slash or @ is a UNIX socket's."""
    answer = {}
    for name, protocol, address, port in request["places"]:
        if name in listening:
            continue
        try:
            if "/" in address or "@" in address:
                made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                Path(address).unlink(missing_ok=True)
                made.bind(address.replace("@", "\0", 1))
                if "/" in address:
                    Path(address).chmod(0o666)
            else:
                family = socket.AF_INET6 if ":" in address else socket.AF_INET
                sort = socket.SOCK_DGRAM if protocol in ("udp", "udplite") else socket.SOCK_STREAM
                number = {"sctp": 132, "udplite": 136, "mptcp": 262}.get(protocol, 0)
                made = socket.socket(family, sort, number)
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                made.bind((address, port))
            if made.type == socket.SOCK_STREAM:
                made.listen(32)
            listening[name] = made
        except OSError as problem:
            answer[name] = str(problem)
    return answer


def poke(request):
    """Connections and datagrams to the confined service: {name: "" or the error}."""
    answer = {}
    for spec in request["acts"]:
        family = socket.AF_INET6 if ":" in spec["dst"] else socket.AF_INET
        sort = socket.SOCK_DGRAM if spec.get("datagram") else socket.SOCK_STREAM
        try:
            made = socket.socket(family, sort, spec.get("protocol", 0))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.settimeout(4.0)
            if "device" in spec:
                made.setsockopt(socket.SOL_SOCKET, 25, DEVICE.encode())
            if "from" in spec:
                made.bind(tuple(spec["from"]))
            if sort == socket.SOCK_DGRAM:
                made.sendto(spec["token"].encode(), (spec["dst"], spec["port"]))
            else:
                made.connect((spec["dst"], spec["port"]))
                made.sendall(spec["token"].encode())
            answer[spec["name"]] = ""
            if spec.get("keep"):
                held[spec["name"]] = made
            else:
                time.sleep(0.02)
                made.close()
        except OSError as problem:
            answer[spec["name"]] = str(problem)
            made.close()
    return answer


def say(request):
    if request["name"] not in held:
        return "nobody by that name"
    try:
        held[request["name"]].sendall(request["token"].encode())
    except OSError as problem:
        return str(problem)
    return ""


def hear(request):
    """What came on connections that this end keeps."""
    found = []
    for name in request["names"]:
        if name in held:
            with contextlib.suppress(OSError):
                held[name].settimeout(0.2)
                found.append(held[name].recv(2048).decode(errors="replace"))
    return found


def ask(request):
    """Hand a request to the confined service, with a socket of ours where ``hand`` says so."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
        control.settimeout(90)
        control.connect(CONTROL)
        line = json.dumps(request["request"]).encode() + b"\n"
        if request.get("hand"):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mine:
                socket.send_fds(control, [line], [mine.fileno()])
        else:
            control.sendall(line)
        with control.makefile() as stream:
            return json.loads(stream.readline() or '{"error": "the service hung up"}')


def shell(request):
    done = subprocess.run(["sh", "-c", request["command"]], capture_output=True, text=True, timeout=170)
    return [done.returncode, (done.stdout + done.stderr).strip()]


def reset(request):
    for found in (seen, told):
        found.clear()


def report(request):
    return {"seen": sorted(seen), "told": sorted(told)}


def main():
    for work in (sniff, attend):
        threading.Thread(target=work, daemon=True).start()
    operations = {one.__name__: one for one in (listen, poke, say, hear, ask, shell, reset, report)}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"ok": operations[request["op"]](request)}
        except Exception as problem:  # whatever it is, the exam shows it
            reply = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
