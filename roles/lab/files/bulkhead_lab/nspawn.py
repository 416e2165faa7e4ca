# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""nspawn hosts: an overlay on the tree, a network namespace, a private cgroup2 mount. They need root."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bulkhead_lab import cgroups, inventory, needs, netns, ssh
from bulkhead_lab.host import Host, known
from bulkhead_lab.image import Image
from bulkhead_lab.process import alive, kill_all, processes
from bulkhead_lab.run import environment, say
from bulkhead_lab.settings import Lab, LabError

LAUNCHER = Path(__file__).parent / "nspawn_host.sh"


def put(root: Path, name: str, data: str, mode: int = 0o644) -> None:
    path = root / name
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    path.write_text(data)
    path.chmod(mode)


def personalise(lab: Lab, host: Host) -> None:
    """The host's identity, written into the upper layer of its overlay before it starts."""
    folder = host.folder(lab)
    for name in ("upper", "work", "root"):
        (folder / name).mkdir(mode=0o755, exist_ok=True)
    upper, key = folder / "upper", ssh.host_key(lab, host)
    put(upper, "etc/hostname", f"{host.name}\n")
    put(upper, "etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {host.name}\n")
    put(upper, "etc/machine-id", f"{os.urandom(16).hex()}\n", 0o444)
    put(upper, "etc/ssh/ssh_host_ed25519_key", key.read_text(), 0o600)
    put(upper, "etc/ssh/ssh_host_ed25519_key.pub", key.with_suffix(".pub").read_text())


def start(lab: Lab, host: Host, image: Image) -> subprocess.Popen[bytes]:
    folder = host.folder(lab)
    cgroups.folder(lab, host).mkdir(parents=True, exist_ok=True)
    netns.add(lab, host)
    argv = [
        "unshare", "--mount", str(LAUNCHER), host.name, str(folder), str(image.tree), lab.tag,
        str(cgroups.mount()),
    ]  # fmt: skip
    with (folder / "console.log").open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=environment()
        )
    (folder / "pid").write_text(f"{process.pid}\n")
    return process


def check_capabilities(lab: Lab, host: Host) -> None:
    """A host that could set this machine's clock does not stay up."""
    pid, status = cgroups.init(lab, host)
    if not pid:
        raise LabError(f"Host '{host.name}' has no init to look at.")
    found = cgroups.forbidden(status)
    if found:
        down(lab, host)
        raise LabError(
            f"Host '{host.name}' had {', '.join(found)} on this machine's own kernel; it was stopped."
        )


def up_all(lab: Lab, work: list[tuple[Host, Image]]) -> None:
    """Start all, then wait for all. The lab's folder must know their keys before the first login."""
    needs.check_watches(len(work))
    netns.controller(lab)
    processes = []
    for host, image in work:
        host.save(lab)
        personalise(lab, host)
        processes.append(start(lab, host, image))
    inventory.pin_keys(lab, known(lab))

    def one(number: int) -> None:
        host = work[number][0]
        ssh.wait(lab, host, 180, processes[number])
        check_capabilities(lab, host)
        say(f"{host.name}: up ({host.suite}, {host.address})")

    with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
        list(pool.map(one, range(len(work))))


def running(lab: Lab, host: Host) -> bool:
    pid = host.folder(lab) / "pid"
    return pid.exists() and alive(int(pid.read_text()))


def down(lab: Lab, host: Host) -> None:
    cgroups.remove(cgroups.folder(lab, host))
    netns.remove(lab, host)


def traces(lab: Lab) -> bool:
    return bool(launchers(lab)) or cgroups.top(lab).exists() or bool(netns.present(lab))


def launchers(lab: Lab) -> list[int]:
    """Launchers of this lab by their command line: one that died early never reached its cgroup."""
    return processes(lambda words: os.fsencode(LAUNCHER) in words and os.fsencode(lab.tag) in words)


def remove_all(lab: Lab) -> None:
    """Everything outside the lab's folder, remembered or not."""
    kill_all(launchers(lab))
    cgroups.remove(cgroups.top(lab))
    netns.remove_all(lab)


def boot_mark(lab: Lab, host: Host) -> str:
    """The pid of the host's init: another one after every boot."""
    return str(cgroups.init(lab, host)[0])
