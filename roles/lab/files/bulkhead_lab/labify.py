# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a Debian tree into a lab host that boots the same under QEMU and under nspawn."""

from __future__ import annotations

import shutil
from pathlib import Path

from bulkhead_lab.run import run
from bulkhead_lab.settings import Lab

GUEST = Path(__file__).parent / "guest"
# Fixed, so that the first boot is no "first boot" to systemd, which would enable every unit by preset.
MACHINE_ID = "00000000000000000000000000001ab0"
KEPT_ENABLED = {"ssh.service", "remote-fs.target"}


def write(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    path.write_text(text)
    path.chmod(mode)


def comment_out(path: Path, word: str) -> None:
    if path.exists():
        lines = [f"#{line}" if word in line else line for line in path.read_text().splitlines(keepends=True)]
        path.write_text("".join(lines))


def listed(name: str) -> list[str]:
    lines = (GUEST / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def set_up_units(tree: Path) -> None:
    """Mask what a lab host never needs; leave the applications installed, disabled and not running."""
    units = tree / "etc/systemd/system"
    wants = units / "multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    applications = sorted(link.name for link in wants.iterdir() if link.name not in KEPT_ENABLED)
    if applications:
        run(["systemctl", f"--root={tree}", "disable", *applications])
    for unit in listed("masked-units"):
        link = units / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    generators = tree / "etc/systemd/system-generators"
    generators.mkdir(parents=True, exist_ok=True)
    for name in listed("masked-generators"):
        (generators / name).symlink_to("/dev/null")
    default = units / "default.target"
    default.unlink(missing_ok=True)
    default.symlink_to("/lib/systemd/system/multi-user.target")
    # logind starts when something asks for it over D-Bus; masked, it makes reboot and poweroff complain
    for lib in ("lib", "usr/lib"):
        (tree / lib / "systemd/system/multi-user.target.wants/systemd-logind.service").unlink(missing_ok=True)
    shutil.copy(GUEST / "lab-net.service", units / "lab-net.service")
    (wants / "lab-net.service").symlink_to("../lab-net.service")


def set_up_ssh(tree: Path, lab: Lab) -> None:
    """Log in by the lab's key; no names looked up, no session bus, no message of the day."""
    write(tree / "root/.ssh/authorized_keys", lab.key.with_suffix(".pub").read_text(), 0o600)
    (tree / "root/.ssh").chmod(0o700)
    write(tree / "etc/ssh/sshd_config.d/lab.conf", (GUEST / "sshd.conf").read_text())
    for key in (tree / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for suffix, mode in (("", 0o600), (".pub", 0o644)):
        source = Path(f"{lab.template_key}{suffix}")
        write(tree / f"etc/ssh/ssh_host_ed25519_key{suffix}", source.read_text(), mode)
    config = tree / "etc/ssh/sshd_config"
    if "\nInclude " not in f"\n{config.read_text()}":
        config.write_text("Include /etc/ssh/sshd_config.d/*.conf\n" + config.read_text())
    comment_out(tree / "etc/pam.d/sshd", "pam_motd")
    comment_out(tree / "etc/pam.d/common-session", "pam_systemd")


def labify(tree: Path, lab: Lab) -> None:
    write(tree / "etc/hostname", "template\n")
    write(tree / "etc/hosts", "127.0.0.1 localhost\n127.0.1.1 template\n")
    write(tree / "etc/resolv.conf", "")
    write(tree / "etc/fstab", "")  # the initrd mounts the root, writable
    write(tree / "etc/machine-id", f"{MACHINE_ID}\n", 0o444)
    write(tree / "etc/systemd/journald.conf.d/lab.conf", (GUEST / "journald.conf").read_text())
    write(tree / "usr/local/sbin/lab-net", (GUEST / "lab-net").read_text(), 0o755)
    bus_id = tree / "var/lib/dbus/machine-id"
    bus_id.unlink(missing_ok=True)
    if bus_id.parent.is_dir():
        bus_id.symlink_to("/etc/machine-id")
    (tree / "usr/sbin/policy-rc.d").unlink(missing_ok=True)
    set_up_ssh(tree, lab)
    set_up_units(tree)
