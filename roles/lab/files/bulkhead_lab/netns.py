# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The net of nspawn hosts: a bridge in a network namespace of the lab's own, a namespace for each host.

The machine's own network is not touched. The lab's side has 10.8.0.1, host N has 10.8.0.(N+1).
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from bulkhead_lab.host import Host
from bulkhead_lab.run import run
from bulkhead_lab.settings import Lab, LabError

NETNS = Path("/run/netns")


def batch(namespace: str, lines: list[str]) -> None:
    run(["ip", "-n", namespace, "-batch", "-"], text_in="".join(f"{line}\n" for line in lines))


def name_of(lab: Lab, host: Host) -> str:
    return f"{lab.tag}-{host.name}"


def cable_of(host: Host) -> str:
    """The lab's end of a host's cable."""
    return f"v{host.index}"


def controller(lab: Lab) -> None:
    """The lab's own namespace, where ssh to the hosts starts."""
    if (NETNS / lab.tag).exists():
        return
    run(["ip", "netns", "add", lab.tag])
    batch(
        lab.tag,
        ["link set lo up", "link add br0 type bridge", "addr add 10.8.0.1/16 dev br0", "link set br0 up"],
    )


def add(lab: Lab, host: Host) -> None:
    """The host's namespace, with one end of a cable in it and the other on the bridge."""
    name = name_of(lab, host)
    remove(lab, host)
    run(["ip", "netns", "add", name])
    cable = cable_of(host)
    batch(
        lab.tag,
        [f"link add {cable} type veth peer name host0 netns {name}", f"link set {cable} master br0 up"],
    )
    batch(name, ["link set lo up", f"addr add {host.address}/16 dev host0", "link set host0 up"])


def remove(lab: Lab, host: Host) -> None:
    """Both ends of the cable at once: a namespace alone takes its end away some time after it was deleted."""
    with contextlib.suppress(LabError):
        run(["ip", "-n", lab.tag, "link", "del", cable_of(host)])
    if (NETNS / name_of(lab, host)).exists():
        run(["ip", "netns", "del", name_of(lab, host)])


def present(lab: Lab) -> list[str]:
    """The namespaces of this lab, also those that no host remembers."""
    return sorted(
        p.name for p in NETNS.glob(f"{lab.tag}*") if p.name == lab.tag or p.name.startswith(f"{lab.tag}-")
    )


def remove_all(lab: Lab) -> None:
    for name in present(lab):
        with contextlib.suppress(LabError):
            run(["ip", "netns", "del", name])
        with contextlib.suppress(OSError):
            (NETNS / name).unlink()  # a run that died in "add" leaves a file that is no namespace yet
    # ip(8) makes the folder a mount of its own and never takes it away
    if NETNS.is_dir() and not any(NETNS.iterdir()):
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if line.split()[1] == str(NETNS):
                run(["umount", str(NETNS)])
        with contextlib.suppress(OSError):
            NETNS.rmdir()  # somebody else's namespace may have come meanwhile
