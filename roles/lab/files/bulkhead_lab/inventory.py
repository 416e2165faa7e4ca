# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory, the known host keys and an ssh configuration of what runs now."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from bulkhead_lab import ssh
from bulkhead_lab.host import Host, known
from bulkhead_lab.settings import Lab

Tree = dict[str, Any]


def dump(value: Tree, depth: int = 0) -> str:
    """YAML of nested mappings with scalars as JSON, which YAML 1.2 contains."""
    lines = []
    for key, item in value.items():
        pad = "  " * depth + f"{key}:"
        if isinstance(item, dict) and item:
            lines.append(pad + "\n" + dump(item, depth + 1))
        else:
            lines.append(f"{pad} {json.dumps(item)}\n")
    return "".join(lines)


def host_variables(lab: Lab, host: Host) -> Tree:
    """How Ansible reaches a host, and what the project's tests have to know about it."""
    words = ssh.options(lab, host)
    return {
        "ansible_host": host.connect,
        "ansible_port": host.port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(lab.key),
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_common_args": " ".join(shlex.quote(word) for word in words),
        # Ansible formats this with %, so that ssh sees %r, the user
        "ansible_control_path": f"{lab.dir}/cp/%%r@{host.name}",
        "ansible_control_path_dir": f"{lab.dir}/cp",
        "bulkhead_lab_kind": host.kind,
        "bulkhead_lab_suite": host.suite,
        "bulkhead_lab_kernel": host.kernel,
        "bulkhead_lab_address": host.address,
    }


def inventory(lab: Lab, hosts: list[Host]) -> Tree:
    def group(members: list[Host]) -> Tree:
        return {"hosts": {host.name: {} for host in members}}

    children = {f"lab_{kind}": group([h for h in hosts if h.kind == kind]) for kind in ("qemu", "nspawn")}
    for suite in sorted({host.suite for host in hosts}):
        children[suite] = group([host for host in hosts if host.suite == suite])
    return {
        "lab": {
            "hosts": {host.name: host_variables(lab, host) for host in hosts},
            "children": children,
        }
    }


def ssh_config(lab: Lab, hosts: list[Host]) -> str:
    """For people: ssh -F this-file h1."""
    text = "# Written by the lab. Use: ssh -F THIS_FILE HOST\n"
    for host in hosts:
        text += (
            f"Host {host.name}\n  HostName {host.connect}\n  Port {host.port}\n  User root\n"
            f"  IdentityFile {lab.key}\n  IdentitiesOnly yes\n  StrictHostKeyChecking yes\n"
            f"  UserKnownHostsFile {lab.known_hosts}\n  GlobalKnownHostsFile none\n"
        )
        for option in ssh.proxy(lab, host)[1:]:
            name, _sep, value = option.partition("=")
            text += f"  {name} {value}\n"
    return text


def replace_text(path: Path, text: str) -> None:
    """Whoever reads the file sees the old or the new one, never half of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text)
    part.chmod(0o644)
    part.replace(path)


def pin_keys(lab: Lab, hosts: list[Host]) -> None:
    lines = [
        f"{ssh.known_name(host)} {' '.join(Path(f'{ssh.host_key(lab, host)}.pub').read_text().split()[:2])}\n"
        for host in hosts
    ]
    replace_text(lab.known_hosts, "".join(lines))


def write(lab: Lab) -> Path:
    """Write all three for the hosts that the lab knows; the path of the inventory."""
    hosts = known(lab)
    (lab.dir / "cp").mkdir(mode=0o700, exist_ok=True)
    pin_keys(lab, hosts)
    replace_text(lab.dir / "ssh_config", ssh_config(lab, hosts))
    path = lab.dir / "inventory.yml"
    head = "---\n# Written by the lab role. Hosts come and go with it.\n"
    replace_text(path, head + dump(inventory(lab, hosts)))
    return path
