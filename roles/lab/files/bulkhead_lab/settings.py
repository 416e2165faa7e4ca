# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab is: where it lives, and every name and number that follows from that."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

SUITES = ("bullseye", "bookworm", "trixie", "sid")
# What a host's kernel is told besides, by the word after the "+" of a suite ("bookworm+cgroup1"): hosts that lack
# something which others have (kernel-parameters.txt, kernel-command-line(7)). systemd 257 has cgroup1 only by force.
KERNELS = {
    "noapparmor": "apparmor=0",
    "cgroup1": "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1"
    " SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
    "hybrid": "systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=0"
    " SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
    "nomemory": "cgroup_disable=memory",
    "noipv6": "ipv6.disable=1",
}
DEFAULT_PACKAGES = ("nginx-light", "postgresql", "redis-server", "curl")
KINDS = {"qemu": "h", "nspawn": "n"}
MAX_HOSTS = 90
# sun_path holds 108 bytes (unix(7)); the longest socket below the folder is "hosts/h90/qmp", or an ssh
# control socket with the 17 characters that ssh appends while it makes one.
MAX_DIR_LENGTH = 108 - len("/cp/root@h90") - 17 - 1


class LabError(Exception):
    """The lab cannot do what was asked. The message says what is wrong; help_text says what to do."""

    def __init__(self, message: str, help_text: str = "") -> None:
        super().__init__(message)
        self.help_text = help_text


@dataclass(frozen=True)
class Lab:
    """One lab. Two labs in two folders never meet: ports, nets and namespaces follow from the folder."""

    dir: Path
    cache: Path
    packages: tuple[str, ...] = DEFAULT_PACKAGES
    memory: int = 768
    cpus: int = 1
    port_base: int = 0

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(str(self.dir).encode()).digest()

    @property
    def tag(self) -> str:
        """Prefix of network namespaces, cgroups and machine names; an interface name holds 15 characters."""
        return "blab" + self.digest.hex()[:4]

    @property
    def first_port(self) -> int:
        """Below the ephemeral ports (from 32768), so that no outgoing connection takes one by chance."""
        return self.port_base or 20000 + int.from_bytes(self.digest[:2], "big") % 120 * 100

    def template_port(self, suite: str) -> int:
        """Behind the ports of the hosts; one for each suite, so that several can be saved at a time."""
        return self.first_port + MAX_HOSTS + 1 + SUITES.index(suite)

    @property
    def multicast(self) -> str:
        """The group that joins the eth1 of this lab's machines, and of no other lab's."""
        return f"230.7.{self.digest[2]}.{max(1, self.digest[3] % 255)}:{self.first_port}"

    @property
    def hosts(self) -> Path:
        return self.dir / "hosts"

    @property
    def key(self) -> Path:
        """The private ssh key; it stays with the images, which carry its public half."""
        return self.cache / "key"

    @property
    def template_key(self) -> Path:
        """The host key of saved machines, until their clones get their own."""
        return self.cache / "template_hostkey"

    @property
    def template_known_hosts(self) -> Path:
        return self.cache / "template_known_hosts"

    @property
    def known_hosts(self) -> Path:
        return self.dir / "known_hosts"

    def check(self) -> None:
        if len(str(self.dir)) > MAX_DIR_LENGTH:
            raise LabError(
                f"The lab folder '{self.dir}' has a path of {len(str(self.dir))} characters,"
                f" sockets in it allow {MAX_DIR_LENGTH}.",
                "Give a shorter folder with lab_dir (--dir).",
            )


def digest(*parts: object) -> str:
    """A short content hash for names of cached things."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
