# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab needs from its machine, checked before anything starts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bulkhead_lab.run import PATH, run, say
from bulkhead_lab.settings import Lab, LabError

# program -> Debian package
COMMON = {
    "mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "busybox": "busybox-static", "ssh": "openssh-client",
    "ssh-keygen": "openssh-client", "setpriv": "util-linux", "tar": "tar", "systemctl": "systemd",
}  # fmt: skip
BY_KIND = {
    "qemu": {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"},
    "nspawn": {"systemd-nspawn": "systemd-container", "ip": "iproute2", "nft": "nftables"},
}
# Instances of inotify that a container takes at least; all containers of a machine share root's (inotify(7)).
WATCHES, INOTIFY = 3, Path("/proc/sys/fs/inotify/max_user_instances")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def missing_packages(kinds: list[str]) -> list[str]:
    """Debian packages that have to be installed for hosts of these kinds."""
    wanted = dict(COMMON)
    for kind in kinds:
        wanted.update(BY_KIND[kind])
    if os.geteuid() != 0:
        wanted["newuidmap"] = "uidmap"
    missing = {package for program, package in wanted.items() if not shutil.which(program, path=PATH)}
    if not KEYRING.exists():
        missing.add("debian-archive-keyring")
    if not dynamic_free(shutil.which("busybox", path=PATH)):
        missing.add("busybox-static")
    return sorted(missing)


def dynamic_free(program: str | None) -> bool:
    """True if a program runs without shared libraries, as in an initrd it has to: no ELF interpreter."""
    return program is not None and b"/ld-linux" not in Path(program).read_bytes()[:4096]


def install(packages: list[str]) -> None:
    say(f"installing {' '.join(packages)}")
    run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        DEBIAN_FRONTEND="noninteractive",
    )


def check(lab: Lab, kinds: list[str], may_install: bool) -> bool:
    """Refuse, or put right, what is missing; True if packages were installed."""
    lab.check()
    if os.geteuid() != 0 and "nspawn" in kinds:
        raise LabError(
            "nspawn hosts need root: they get network namespaces, cgroups and an overlay of their own.",
            "Run as root, or use QEMU machines (lab_kind=qemu).",
        )
    missing = missing_packages(kinds)
    if missing:
        if not (may_install and os.geteuid() == 0):
            raise LabError(
                f"This machine lacks what the lab is made of: {', '.join(missing)}.",
                f"apt-get install -y --no-install-recommends {' '.join(missing)}",
            )
        install(missing)
    if os.geteuid() != 0 and not subordinate_ids():
        raise LabError(
            "Without root the lab needs subordinate user ids, and this user has none in /etc/subuid.",
            "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER, once, as root.",
        )
    return bool(missing)


def subordinate_ids() -> bool:
    import pwd

    names = {str(os.getuid()), pwd.getpwuid(os.getuid()).pw_name}
    subuid = Path("/etc/subuid")
    return subuid.exists() and any(line.split(":")[0] in names for line in subuid.read_text().splitlines())


def check_watches(containers: int) -> None:
    """Refuse more containers than can run: systemd ends at its start where it gets no inotify."""
    held = sum(_is_watch(descriptor) for descriptor in Path("/proc").glob("[0-9]*/fd/*"))
    most, wanted = int(INOTIFY.read_text()), containers * WATCHES
    if held + wanted > most:
        raise LabError(
            f"{containers} containers take {wanted} instances of inotify, and root has {max(0, most - held)} of "
            f"{most} left on this machine.",
            f"Start at most {max(0, most - held) // WATCHES}, or raise {INOTIFY}, which holds for the whole machine.",
        )


def _is_watch(descriptor: Path) -> bool:
    try:
        return str(descriptor.readlink()) == "anon_inode:inotify"
    except OSError:  # its process has ended
        return False
