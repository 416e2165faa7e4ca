# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests made by hand, and hostile values, for the tests of the Windows and macOS backends."""

from __future__ import annotations

import inspect
from datetime import date
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features, registry
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Compilation, Verdict
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.load import load_policy
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import resolve

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
GOLDEN = Path(__file__).with_name("golden")
# The machine may be busy with virtual machines: time says nothing about an example.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

TODAY = date(2026, 11, 24)
GROUPS = {"app_servers": ["10.1.0.10", "10.1.0.11", "2001:db8::10"]}

WORKLOADS = {
    m.OS.WINDOWS: m.Workload(m.OS.WINDOWS, "demo", r"C:\demo\demo.exe"),
    m.OS.MACOS: m.Workload(m.OS.MACOS, "org.example.demo", "/opt/demo/bin/demo", "_demo"),
}
FEATURES = {m.OS.WINDOWS: "windows2022", m.OS.MACOS: "macos15"}

# Anything that could be put into a YAML string, with the letters that our output languages live by.
# Two in three are made of these letters only, so that not all are refused for a character that no text has.
_SYNTAX = "\"'\\<>&;()[]{}|%*?$#=,:/ -a"
_UNSPEAKABLE = "\n\r\t\0\u2028\u202e\ufffe\ud800"
hostile_text = st.one_of(
    st.text(_SYNTAX, max_size=12),
    st.text(_SYNTAX, max_size=3),
    st.text(st.one_of(st.characters(), st.sampled_from(_SYNTAX + _UNSPEAKABLE)), max_size=24),
)


def leaves(kind: type[m.Clause] = m.Clause) -> list[type[m.Clause]]:
    """Every clause type that a policy can hold."""
    own = [] if kind in (m.Clause, m.PathClause) else [kind]
    return own + [leaf for child in kind.__subclasses__() for leaf in leaves(child)]


def path(os: m.OS, text: str, glob: bool = False) -> m.PathRef:
    return m.PathRef(text, ((os, text),), glob)


def manifest(os: m.OS, *clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE, **workload: str) -> m.Manifest:
    """A manifest with the clauses given, for one system."""
    kept = {**vars(WORKLOADS[os]), **workload}
    return m.Manifest(
        "demo", "1.0.0", "tests", m.Risk.LOW, "", mode, (m.Workload(**kept),), tuple(clauses), digest="0" * 64
    )


def run(
    backend: str, os: m.OS, *clauses: m.Clause, mode: m.Mode = m.Mode.ENFORCE, **workload: str
) -> Compilation:
    """One backend's compilation of the clauses."""
    module = next(module for module in registry.backends(os) if backend == module.NAME)
    return module.compile(manifest(os, *clauses, mode=mode, **workload), features.reference(FEATURES[os]))


def verdict(compilation: Compilation, clause: str) -> Verdict:
    """The one verdict about a clause."""
    (found,) = [item for item in compilation.verdicts if item.clause == clause]
    return found


def content(compilation: Compilation, name: str) -> str:
    """The text of the artifact whose file has this name."""
    (found,) = [item for item in compilation.artifacts if item.path.replace("\\", "/").endswith("/" + name)]
    return found.content.decode("utf-8")


def policies() -> list[Path]:
    """The policies that are shipped, and one of our own that uses every word of the language."""
    return [GOLDEN / "everything.yml", *sorted((ROOT / "policies").glob("*.yml"))]


def load(policy: Path) -> m.Manifest:
    search = [ROOT / "policies" / "baselines", ROOT / "policies"]
    return resolve(load_policy(policy, search), GROUPS, TODAY)


def sample(kind: type[m.Clause], os: m.OS) -> m.Clause:
    """A clause of this type with plain values."""
    here = {m.OS.WINDOWS: r"C:\demo\data", m.OS.MACOS: "/opt/demo/data"}[os]
    values: dict[str, object] = {"id": kind.section + "[x]"}
    special = {
        m.User: {"name": "_demo"},
        m.Privilege: {"name": "bind_low_port"},
        m.Listen: {"port": m.Port("tcp", 80, 80)},
        m.Connect: {"peer": m.Peer("any", m.PeerKind.ANY), "ports": (m.Port("tcp", 443, 443),)},
        m.Families: {"names": ("ipv4", "unix")},
        m.EnvironmentSet: {"name": "LANG", "value": "C"},
        m.BusName: {"name": "org.example"},
    }
    values |= special.get(kind, {})
    parameters = inspect.signature(kind).parameters
    for name in ("path", "source"):
        if name in parameters:
            values[name] = path(os, here)
    values |= {name: 1 for name in ("count", "bytes", "percent", "seconds") if name in parameters}
    return kind(**values)
