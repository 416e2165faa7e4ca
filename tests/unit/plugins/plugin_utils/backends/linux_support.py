# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests and hosts made by hand for the tests of the Linux backends, and a reader of drop-ins of its own."""

from __future__ import annotations

import copy
from datetime import date

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features, nftables, systemd
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import (
    Compilation,
    Features,
    Verdict,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.bundle import Bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

TODAY = date(2026, 11, 24)
UNIT = "demo.service"
DROPIN = "/etc/systemd/system/demo.service.d/zz-bulkhead.conf"


def path(text: str, glob: bool = False) -> m.PathRef:
    return m.PathRef(text, ((m.OS.LINUX, text),), glob)


def manifest(*clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE, **more: object) -> m.Manifest:
    workloads = (m.Workload(m.OS.LINUX, UNIT),)
    base = ("demo", "1.0.0", "tests", m.Risk.LOW, "", mode, workloads, tuple(clauses))
    return m.Manifest(*base, digest="0" * 64, **more)  # type: ignore[arg-type]


def host(name: str = "debian12", service: dict[str, list[str]] | None = None, **facts: object) -> Features:
    """A recorded host with a unit of our choice; ``facts`` replace whole top-level facts."""
    data = copy.deepcopy(features.reference(name, UNIT).data)
    data["unit"]["service"] = service or {}
    data.update(facts)
    return features.from_data(data)


def by_systemd(*clauses: m.Clause, on: Features | None = None, **more: object) -> Compilation:
    return systemd.compile(manifest(*clauses, **more), on or host())  # type: ignore[arg-type]


def by_nftables(*clauses: m.Clause, on: Features | None = None, **more: object) -> Compilation:
    return nftables.compile(manifest(*clauses, **more), on or host())  # type: ignore[arg-type]


def verdict(made: Compilation | Bundle, clause: str) -> Verdict:
    (found,) = [item for item in made.verdicts if item.clause == clause]
    return found


def content(made: Compilation, name: str) -> str:
    (found,) = [item for item in made.artifacts if item.path.endswith(name)]
    return found.content.decode()


def directives(text: str) -> list[tuple[str, str, str]]:
    """(section, key, value) of every assignment, read as systemd does: lines end at a newline, nothing else."""
    section, found = "", []
    for line in text.split("\n"):
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith(("#", ";")):
            key, equals, value = line.partition("=")
            assert equals, line
            found.append((section, key, value))
    return found


def values(made: Compilation, key: str) -> list[str]:
    """What the drop-in leaves ``key`` at, after resets."""
    left: list[str] = []
    for _, name, value in directives(content(made, "zz-bulkhead.conf")):
        if name == key:
            left = [*left, value] if value else []
    return left


def words(text: str) -> list[str]:
    """Words of a directive's value: a reader of systemd's quoting that shares nothing with the writer."""
    found: list[str] = []
    word: str | None = None
    quoted = escaped = False
    for char in text:
        if escaped:
            word, escaped = (word or "") + char, False
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted, word = not quoted, word or ""
        elif char in " \t" and not quoted:
            if word is not None:
                found.append(word)
            word = None
        else:
            word = (word or "") + char
    assert not quoted and not escaped, text
    return found + ([word] if word is not None else [])
