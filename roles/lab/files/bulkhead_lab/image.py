# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a tar to what machines start from: a tree (nspawn), and kernel, initrd and disk (QEMU)."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from bulkhead_lab import tree
from bulkhead_lab.initrd import build as build_initrd
from bulkhead_lab.labify import labify
from bulkhead_lab.run import run, say
from bulkhead_lab.settings import Lab, digest

BUSYBOX = Path("/usr/bin/busybox")
DISK_SIZE = "4G"


@dataclass(frozen=True)
class Image:
    """The finished image of one suite."""

    suite: str
    folder: Path

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"


def recipe() -> str:
    """Hash of all that shapes an image; a change here means new images, not stale ones."""
    here = Path(__file__).parent
    files = [here / "image.py", here / "labify.py", here / "initrd.py", *sorted((here / "guest").iterdir())]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def make_keys(lab: Lab) -> None:
    """The login key, and the host key that a template has until its clones get their own."""
    lab.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (lab.key, lab.template_key):
        if not path.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", str(path)])
    public = lab.template_key.with_suffix(".pub").read_text()
    lab.template_known_hosts.write_text(f"template {public}")


def describe(lab: Lab, suite: str) -> Image:
    make_keys(lab)
    public = lab.key.with_suffix(".pub").read_text() + lab.template_key.with_suffix(".pub").read_text()
    key = digest(tree.tar_path(lab, suite).name, recipe(), public)
    return Image(suite, lab.cache / f"{suite}-{key}")


def fill(lab: Lab, tar: Path, part: Image) -> None:
    """The steps that need root, or the user namespace that stands for it."""
    part.tree.mkdir(parents=True)
    run(["tar", "-xf", str(tar), "-C", str(part.tree), "--xattrs", "--xattrs-include=*", "--numeric-owner"])
    labify(part.tree, lab)
    shutil.copy(sorted((part.tree / "boot").glob("vmlinuz-*"))[-1], part.kernel)
    for old in (part.tree / "boot").glob("initrd*"):
        old.unlink()
    part.initrd.write_bytes(build_initrd(part.tree, BUSYBOX))
    run(["truncate", "-s", DISK_SIZE, str(part.disk)])
    # -d copies the tree into the file system: no loop device, no mount (mke2fs(8)). Debian 11 knows neither
    # of the two features that are left out.
    run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum_seed,^orphan_file", "-m", "0", "-L", "lab",
         "-d", str(part.tree), "-E", "lazy_itable_init=0,lazy_journal_init=1,root_owner=0:0", str(part.disk)]
    )  # fmt: skip
    part.tree.chmod(0o755)


def build(lab: Lab, suite: str) -> tuple[Image, bool]:
    """The image of a suite, and whether it had to be made."""
    image = describe(lab, suite)
    if image.folder.exists():
        say(f"{suite}: image is in the cache")
        return image, False
    tar, _unused = tree.build(lab, suite)
    say(f"{suite}: making the image (half a minute)")
    part = Image(suite, image.folder.with_suffix(".part"))
    remove(part.folder)
    part.folder.mkdir(mode=0o755)
    if os.geteuid() == 0:
        fill(lab, tar, part)
    else:
        fill_as_user(lab, tar, part)
    part.folder.rename(image.folder)
    say(f"{suite}: image done")
    return image, True


def fill_as_user(lab: Lab, tar: Path, part: Image) -> None:
    """Without root: the same steps in the user namespace of the user's subordinate ids (mmdebstrap(1))."""
    part.folder.chmod(0o1777)
    package = Path(__file__).parent
    run(
        ["mmdebstrap", "--unshare-helper", "python3", str(package), "--dir", str(lab.dir), "--cache",
         str(lab.cache), "fill", str(tar), str(part.folder), part.suite]
    )  # fmt: skip


def remove(folder: Path) -> None:
    """Remove a folder of the cache, also one whose files belong to subordinate users."""
    if not folder.exists():
        return
    if os.geteuid() == 0:
        shutil.rmtree(folder)
    else:
        run(["mmdebstrap", "--unshare-helper", "rm", "-rf", str(folder)])
