# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Debian tree as a tar, by mmdebstrap, from the mirror that apt uses here."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from bulkhead_lab.process import processes
from bulkhead_lab.run import run, say
from bulkhead_lab.settings import SUITES, Lab, LabError, digest

BASE_PACKAGES = (
    "systemd-sysv", "systemd", "dbus", "udev", "openssh-server", "apparmor", "python3", "nftables",
    "iproute2", "procps", "kmod", "netbase", "sudo", "linux-image-cloud-amd64",
)  # fmt: skip
# A --path-exclude would start a filter once per package and take minutes: cut documentation afterwards.
CUT = ["usr/share/man", "usr/share/doc", "usr/share/locale", "usr/share/info", "var/lib/apt/lists"]


def mirror() -> str:
    """The archive that apt is set up with here (apt-get(8), indextargets)."""
    lines = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
            "Origin: Debian",
        ]
    ).splitlines()
    for line in lines:
        uri, release, component = line.split()
        # "bookworm-updates" and "bookworm-security" are parts that hang on the archive proper.
        if component == "main" and "-" not in release:
            return uri
    raise LabError(
        "apt on this machine knows no Debian archive to build hosts from.",
        "Put the Debian archive into apt's sources and run apt-get update.",
    )


def options() -> list[str]:
    """What shapes the tree, apart from suite and packages."""
    return [
        "--variant=apt",
        '--aptopt=Acquire::Check-Valid-Until "false"',  # a mirror may be a frozen snapshot
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=force-unsafe-io",
        "--customize-hook=rm -rf " + " ".join(f'"$1"/{path}/*' for path in CUT),
    ]


def tar_path(lab: Lab, suite: str) -> Path:
    key = digest(suite, sorted({*BASE_PACKAGES, *lab.packages}), options())
    return lab.cache / "tar" / f"{suite}-{key}.tar"


def command(lab: Lab, suite: str, out: Path, archive: str) -> list[str]:
    """The mmdebstrap call. Downloaded packages come from and go back to a folder of the cache."""
    debs = shlex.quote(str(lab.cache / "debs" / suite))
    packages = ",".join([*BASE_PACKAGES, *lab.packages])
    return [
        "mmdebstrap", "--quiet", f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        *options()[:-1],
        "--skip=download/empty,essential/unlink,cleanup/apt/cache",
        "--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives",
        f"--setup-hook=sync-in {debs} /var/cache/apt/archives",
        f"--customize-hook=sync-out /var/cache/apt/archives {debs}",
        "--customize-hook=rm -f \"$1\"/var/cache/apt/archives/*.deb",
        options()[-1],
        f"--include={packages}", suite, str(out), archive,
    ]  # fmt: skip


def in_private_tmpfs(folder: Path, argv: list[str]) -> list[str]:
    """Run argv with a tmpfs on folder that only it sees: dpkg's fsync costs nothing, and however it ends,
    neither mounts nor processes stay behind (its own process namespace dies with its caller)."""
    return [
        "setpriv", "--pdeathsig", "KILL",
        "unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child=KILL", "--mount-proc",
        "sh", "-c", "mount -t tmpfs -o mode=755 tmpfs \"$0\" && exec \"$@\"", str(folder), *argv,
    ]  # fmt: skip


def builders(lab: Lab) -> list[int]:
    """Running mmdebstrap calls of this lab; killing the outermost ends all that it started."""
    scratch = os.fsencode(lab.dir / "tmp") + b"/tree-"
    return processes(
        lambda words: (
            words[0].split(b"/")[-1] in (b"unshare", b"mmdebstrap")
            and any(word.startswith(scratch) for word in words)
        )
    )


def build(lab: Lab, suite: str) -> tuple[Path, bool]:
    """The tar of a suite, and whether it had to be made."""
    if suite not in SUITES:
        raise LabError(f"The lab has no suite '{suite}'.", f"Suites: {', '.join(SUITES)}.")
    done = tar_path(lab, suite)
    if done.exists():
        say(f"{suite}: Debian tree is in the cache")
        return done, False
    archive = mirror()
    say(f"{suite}: building the Debian tree (one to three minutes, output in build-{suite}.log)")
    (lab.cache / "debs" / suite).mkdir(parents=True, exist_ok=True)
    done.parent.mkdir(parents=True, exist_ok=True)
    scratch = lab.dir / "tmp" / f"tree-{suite}"
    scratch.mkdir(parents=True, exist_ok=True)
    part = done.with_suffix(".part.tar")
    argv = command(lab, suite, part, archive)
    if os.geteuid() == 0:
        argv = in_private_tmpfs(scratch, argv)
    else:
        scratch.chmod(0o1777)  # unshare mode writes there as a subordinate user
    try:
        # INITRD=No: no update-initramfs run; the lab makes a smaller initrd itself.
        run(argv, output=lab.dir / f"build-{suite}.log", TMPDIR=str(scratch), INITRD="No")
    except LabError:
        part.unlink(missing_ok=True)
        raise
    shutil.rmtree(scratch, ignore_errors=True)
    part.rename(done)
    say(f"{suite}: Debian tree done, {done.stat().st_size >> 20} MiB")
    return done, True
