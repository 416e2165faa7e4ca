# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two sections that know operating systems: ``workload`` and ``paths``."""

from __future__ import annotations

from collections.abc import Mapping

from .faults import FaultList, Refusal, quote
from .model import OS, Workload
from .paths import PROGRAM, PathNames, family, normal
from .source import Node


def read_workloads(root: Node, faults: FaultList) -> dict[OS, Workload]:
    """What the application is on each system that the document names."""
    found: dict[OS, Workload] = {}
    for key, node in root.entries("workload"):
        os = OS(key)
        executable = node.get("executable")
        path = ""
        if executable is not None:
            # A faulty executable is not a missing one: $program then tells nothing further.
            path = str(executable.value)
            with faults.at(executable):
                path = _on_system(path, os)
        name = next(
            (str(node.value[word]) for word in ("unit", "service", "label") if word in node.value), ""
        )
        found[os] = Workload(os, name, path, str(node.value.get("user", "")))
    return found


def read_path_names(root: Node, workloads: Mapping[OS, Workload], faults: FaultList) -> PathNames:
    """The document's names for paths, and ``$program``."""
    names: dict[str, dict[OS, str | None]] = {}
    # Names whose value was cut for a fault are still known, so that one fault is told once.
    for place in root.source.keys:
        if len(place) == 2 and place[0] == "paths":
            names[str(place[1])] = {}
    for name, node in root.entries("paths"):
        if name == PROGRAM:
            fix = "write workload.<system>.executable instead"
            faults.add(node, "$program is predefined: the workload's executable.", fix, key=True)
            continue
        for key, value in node.entries():
            os = OS(key)
            with faults.at(value):
                names[name][os] = None if value.value is None else _on_system(str(value.value), os)
    return PathNames(names, {os: workload.executable or None for os, workload in workloads.items()})


def _on_system(path: str, os: OS) -> str:
    shown = normal(path)
    if os not in family(shown):
        fix = (
            "write a drive letter, such as C:\\app"
            if os is OS.WINDOWS
            else "write a path that begins with '/'"
        )
        raise Refusal(f"{quote(path)} is no path of {os.value}.", fix)
    return shown
