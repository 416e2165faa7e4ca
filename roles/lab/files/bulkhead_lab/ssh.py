# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reaching hosts by ssh: the one set of options, pinned keys, and patience with slow guests."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

from bulkhead_lab.host import Host
from bulkhead_lab.run import environment, run
from bulkhead_lab.settings import Lab, LabError


def proxy(lab: Lab, host: Host) -> list[str]:
    """The way into the lab's own network namespace, where nspawn hosts live; needs root, nothing else."""
    if host.kind != "nspawn":
        return []
    return ["-o", f"ProxyCommand=nsenter --net=/run/netns/{lab.tag} busybox nc %h %p"]


def options(lab: Lab, host: Host, template: bool = False) -> list[str]:
    """Options for anybody's ssh to this host; no file of the user is read or written.

    template: the host is, or was until this moment, the saved machine, and still has that machine's key.
    """
    known = lab.template_known_hosts if template else lab.known_hosts
    return [
        "-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}",
        "-o", "GlobalKnownHostsFile=none", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR",
        *(["-o", "HostKeyAlias=template"] if template else []), *proxy(lab, host),
    ]  # fmt: skip


def command(lab: Lab, host: Host, *words: str, template: bool = False) -> list[str]:
    return [
        "ssh", *options(lab, host, template), "-i", str(lab.key), "-o", "BatchMode=yes",
        "-o", "ConnectTimeout=30", "-p", str(host.port), f"root@{host.connect}", *words,
    ]  # fmt: skip


def known_name(host: Host) -> str:
    """How ssh writes a host in known_hosts: the port only where it is not 22."""
    return host.connect if host.port == 22 else f"[{host.connect}]:{host.port}"


def host_key(lab: Lab, host: Host) -> Path:
    """The host's private key, made here so that it is known before the first connection."""
    path = host.folder(lab) / "hostkey"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host.name, "-f", str(path)])
    return path


def banner(port: int, patience: float) -> bool:
    """True once the guest's sshd has answered; the port forward alone accepts long before."""
    try:
        with socket.create_connection(("127.0.0.1", port), patience) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_banner(host: Host, limit: float) -> None:
    end = time.monotonic() + limit
    while not banner(host.port, 20):
        if time.monotonic() > end:
            raise LabError(f"Host '{host.name}' does not answer on port {host.port} after {limit:.0f} s.")
        time.sleep(0.2)


def login(argv: list[str], text_in: str = "", limit: float = 120) -> str:
    """Run ssh; its output, or a LabError with ssh's own words."""
    try:
        done = subprocess.run(
            argv, input=text_in, capture_output=True, text=True, timeout=limit, env=environment(), check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"ssh gave no answer within {limit:.0f} s ({argv[-2]}).") from error
    if done.returncode != 0:
        raise LabError(
            f"ssh ended with status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}."
        )
    return done.stdout


def wait(
    lab: Lab, host: Host, limit: float, gone: subprocess.Popen[bytes] | None = None, template: bool = False
) -> None:
    """Until a login runs a command. Short time-outs would start sshd over and over and drown a slow guest."""
    end, patience, last = time.monotonic() + limit, 6.0, "no banner"
    while time.monotonic() < end:
        if gone is not None and gone.poll() is not None:
            raise LabError(f"Host '{host.name}' ended with status {gone.returncode} while starting.")
        if host.kind == "qemu" and not banner(host.port, patience):
            patience = min(patience * 1.5, 30)
            time.sleep(0.2)
            continue
        try:
            login(command(lab, host, "true", template=template), limit=60)
            return
        except LabError as error:
            last = str(error)
            time.sleep(0.3)
    raise LabError(
        f"Host '{host.name}' cannot be reached by ssh after {limit:.0f} s ({last}).",
        f"Its console is in '{host.folder(lab) / 'console.log'}'.",
    )
