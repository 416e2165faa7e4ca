# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The service of the network exam: it does what it is told over a UNIX socket that its policy lets it have.

subject.py                 serve
subject.py again JSON      the same program executed anew: one list of acts, results on standard output
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import acts

CONTROL = "/run/exam-network/control"
STORED = 3  # where systemd hands in what was stored with it (sd_listen_fds(3))
held: dict[str, socket.socket] = {}


def in_child(specs):
    """The results of acts in a child, which they may kill."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        for spec in specs:
            os.write(write, json.dumps(acts.attempt(spec)).encode() + b"\n")
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as stream:
        found = [json.loads(line) for line in stream]
    _pid, status = os.waitpid(child, 0)
    killed = "killed" if os.WIFSIGNALED(status) else "ended"
    return found + [killed] * (len(specs) - len(found))


def again(specs):
    argv = [sys.executable, "-B", __file__, "again", json.dumps(specs)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout) if done.returncode == 0 else [done.stderr[-200:]] * len(specs)


def _endpoint(spec):
    """One that listens: ``protocol`` by number, ``sort`` stream or datagram, ``at`` an address, ``groups`` to join."""
    family = socket.AF_INET6 if ":" in spec["at"] else socket.AF_INET
    sort = socket.SOCK_DGRAM if spec.get("datagram") else socket.SOCK_STREAM
    made = socket.socket(family, sort, spec.get("protocol", 0))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if "port" in spec:
        made.bind((spec["at"], spec["port"]))
    if "to" in spec:  # sending takes a port, whatever becomes of the datagram
        with contextlib.suppress(OSError):
            made.sendto(b"", (spec["to"], 7))
    if "group" in spec:
        choice = struct.pack(
            "4s4si", socket.inet_aton(spec["group"]), bytes(4), socket.if_nametoindex(acts.DEVICE)
        )
        made.setsockopt(socket.IPPROTO_IP, acts.IP_ADD_MEMBERSHIP, choice)
    if not spec.get("datagram"):
        made.listen(8)
    made.setblocking(False)
    return made


def open_all(specs):
    """Named endpoints, kept: {name: its port, or an error}."""
    answer = {}
    for spec in specs:
        old = held.pop(spec["name"], None)
        if old:
            old.close()
        try:
            held[spec["name"]] = _endpoint(spec)
            answer[spec["name"]] = held[spec["name"]].getsockname()[1]
        except OSError as problem:
            answer[spec["name"]] = str(problem)
    return answer


def collect(names):
    """What arrived at each: texts of datagrams, or of connections that were accepted (which are kept as NAME+)."""
    answer = {}
    for name in names:
        found, made = [], held.get(name)
        while made:
            try:
                if made.type & 15 == socket.SOCK_DGRAM:
                    found.append(made.recv(2048).decode(errors="replace"))
                    continue
                if name.endswith("+"):
                    data = made.recv(2048)
                    if not data:
                        break
                    found.append(data.decode(errors="replace"))
                    continue
                client, _address = made.accept()
                held[name + "+"] = client
                client.settimeout(2)
                found.append("accepted")
                found.append(client.recv(2048).decode(errors="replace"))
                client.setblocking(False)
            except ConnectionRefusedError:
                continue  # about an earlier datagram of ours
            except OSError:
                break
        answer[name] = found
    return answer


def close_all():
    for name in [name for name in held if name not in ("stored", "handed")]:
        held.pop(name).close()


def hold(spec):
    """A connection or a connected datagram socket that stays open under ``name``."""
    family = socket.AF_INET6 if ":" in spec["dst"] else socket.AF_INET
    made = socket.socket(family, socket.SOCK_DGRAM if spec.get("datagram") else socket.SOCK_STREAM)
    made.settimeout(acts.LIMIT)
    if "from" in spec:
        made.bind(("0.0.0.0", spec["from"]))
    made.connect((spec["dst"], spec["port"]))
    made.setblocking(False)
    name = spec["name"] if spec.get("datagram") else spec["name"] + "+"
    held[name] = made
    return say({"name": name, "token": spec["token"]})


def say(spec):
    """Send on what is held: to ``dst`` where one is named, else to whom it is connected."""
    made = held.get(spec["name"])
    if made is None:
        return "gone"
    try:
        if "dst" in spec and spec.get("unconnected"):
            made.sendto(spec["token"].encode(), (spec["dst"], spec["port"]))
        else:
            made.send(spec["token"].encode())
    except OSError as problem:
        return str(problem)
    return ""


def store(name):
    """Leave a socket with systemd, which hands it in after a restart (FileDescriptorStoreMax=)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [held[name].fileno()]))]
        made.sendmsg([b"FDSTORE=1\nFDNAME=exam"], rights, 0, os.environ["NOTIFY_SOCKET"])
    return ""


def answer(request, handed):
    if handed:
        held["handed"] = socket.socket(fileno=handed[0])
    ways = {
        "service": lambda specs: [acts.attempt(spec) for spec in specs],
        "child": in_child,
        "again": again,
    }
    operations = {
        "acts": lambda: ways[request["via"]](request["acts"]),
        "open": lambda: open_all(request["sockets"]),
        "collect": lambda: collect(request["names"]),
        "hold": lambda: hold(request),
        "say": lambda: say(request),
        "store": lambda: store(request["name"]),
        "close": close_all,
        "pid": os.getpid,
    }
    return operations[request["op"]]()


def serve():
    start = json.loads(os.environ.get("EXAM_START", "[]"))
    if os.environ.get("LISTEN_FDS"):
        held["stored"] = socket.socket(fileno=STORED)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        Path(CONTROL).unlink(missing_ok=True)
        server.bind(CONTROL)
        server.listen(4)
        for _turn in range(10):
            for spec in start:
                acts.attempt(spec)
            time.sleep(0.05)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
            ready.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
        while True:
            client, _address = server.accept()
            with client:
                data, handed, _flags, _peer = socket.recv_fds(client, 1 << 16, 4)
                while not data.endswith(b"\n"):
                    more = client.recv(1 << 16)
                    if not more:
                        break
                    data += more
                try:
                    reply = {"ok": answer(json.loads(data), handed)}
                except Exception as problem:  # whatever it is, the exam shows it
                    reply = {"error": f"{type(problem).__name__}: {problem}"}
                client.sendall(json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["again"]:
        print(json.dumps([acts.attempt(spec) for spec in json.loads(sys.argv[2])]))
    else:
        serve()
