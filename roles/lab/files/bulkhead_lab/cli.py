# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: stages of "up", "down", and handling single hosts."""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bulkhead_lab import fleet, image, needs, run, tree
from bulkhead_lab.host import known, parts
from bulkhead_lab.lock import locked
from bulkhead_lab.settings import DEFAULT_PACKAGES, KERNELS, KINDS, SUITES, Lab, LabError


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="bulkhead_lab", description="A lab of real Debian hosts.")
    top.add_argument("--dir", type=Path, default=Path("build/lab"), help="the lab's folder (build/lab)")
    top.add_argument("--cache", type=Path, help="where trees and images are kept (DIR/img)")
    top.add_argument(
        "--packages", default=",".join(DEFAULT_PACKAGES), help="installed in the image, not enabled"
    )
    top.add_argument("--memory", type=int, default=768, help="MiB of each QEMU machine")
    top.add_argument("--cpus", type=int, default=1, help="processors of each QEMU machine")
    top.add_argument("--port-base", type=int, default=0, help="first of 100 ports (follows from DIR)")
    commands = top.add_subparsers(dest="command", required=True)
    for name, text in (
        ("needs", "check what this machine lacks"), ("tree", "build the Debian trees"),
        ("image", "build images and saved machines"), ("up", "start hosts"),
    ):  # fmt: skip
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--kind", choices=sorted(KINDS), default="qemu")
        sub.add_argument(
            "--suites",
            default="bookworm",
            help=f"of {', '.join(SUITES)}; hosts take them in turn; SUITE+KERNEL boots with another kernel line, "
            f"of {', '.join(KERNELS)}",
        )
        sub.add_argument("--hosts", type=int, default=3)
        sub.add_argument("--install", action="store_true", help="install missing packages (root)")
    down = commands.add_parser("down", help="stop all hosts, leave nothing behind but the cache")
    down.add_argument("--purge", action="store_true", help="remove the cache, too")
    commands.add_parser("status", help="which hosts are there, and which run")
    for name, text in (
        ("reboot", "reboot a host and wait for it"), ("power-cut", "press a QEMU machine's reset button"),
        ("console", "follow a host's console"),
    ):  # fmt: skip
        commands.add_parser(name, help=text).add_argument("host")
    fill = commands.add_parser("fill")
    for name in ("tar", "folder", "suite"):
        fill.add_argument(name)
    return top


def suites(arguments: argparse.Namespace) -> list[str]:
    """Words for the hosts: a suite, or a suite and a kernel."""
    chosen = [word for word in arguments.suites.split(",") if word]
    for word in chosen:
        parts(word)
    return chosen or ["bookworm"]


def plain(arguments: argparse.Namespace) -> list[str]:
    """The suites alone, each once: what trees and images are made of."""
    return list(dict.fromkeys(parts(word)[0] for word in suites(arguments)))


def act(lab: Lab, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run one command; the answer goes to standard output as one line of JSON."""
    name = arguments.command
    if name == "status":
        return {"changed": False, "hosts": fleet.status(lab)}
    if name == "console":
        fleet.console(lab, arguments.host)
        return {"changed": False}
    if name == "fill":
        image.fill(lab, Path(arguments.tar), image.Image(arguments.suite, Path(arguments.folder)))
        return {"changed": True}
    with locked(lab.dir):
        run.log_file = lab.dir / "lab.log"
        if name == "down":
            return {"changed": fleet.down(lab, arguments.purge)}
        if name in ("reboot", "power-cut"):
            return {"changed": True, "seconds": fleet.restart(lab, arguments.host, name == "power-cut")}
        installed = needs.check(lab, [arguments.kind], arguments.install)
        if name == "needs":
            return {"changed": installed}
        image.make_keys(lab)
        if name == "tree":
            with locked(lab.cache, wait=True):
                made = run.together(partial(tree.build, lab), plain(arguments))
            return {"changed": any(new for _unused, new in made)}
        if name == "image":
            return {"changed": any(fleet.images(lab, arguments.kind, plain(arguments))[1])}
        started = fleet.up(lab, arguments.kind, arguments.hosts, suites(arguments))
        return {
            "changed": bool(started),
            "started": started,
            "hosts": [host.name for host in known(lab)],
            "inventory": str(lab.dir / "inventory.yml"),
        }


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    os.umask(0o022)  # trees and overlays carry modes that guests depend on
    folder = arguments.dir.resolve()
    cache = (arguments.cache or folder / "img").resolve()
    packages = tuple(word for word in arguments.packages.split(",") if word)
    lab = Lab(folder, cache, packages, arguments.memory, arguments.cpus, arguments.port_base)
    try:
        print(json.dumps(act(lab, arguments)))
    except LabError as error:
        print(f"{error}\n{error.help_text}".rstrip(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
