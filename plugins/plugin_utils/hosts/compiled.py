# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a policy's name to the finished bundle of one host, each distinct result worked out once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from ..backends import compile as compiler
from ..backends import features
from ..policy import manifest as manifests
from ..policy import schema
from ..policy.model import OS, Manifest, Mode
from ..policy.resolve import load_and_resolve
from .cache import Cache, identity
from .errors import HostsError
from .groups import GroupAddresses

PLUGIN_UTILS = Path(__file__).resolve().parents[1]


def load(
    name: str, folders: Sequence[str], groups: GroupAddresses, mode: str | None, today: date
) -> Manifest:
    """The resolved policy, in ``mode`` where that is given. Raises PolicyError and HostsError."""
    found = load_and_resolve(name, list(folders), groups, today)
    if mode and mode != found.mode.value:
        found = replace(found, mode=Mode(mode), digest="")
        found = replace(found, digest=manifests.digest(found))
    return found


def unit_of(manifest: Manifest) -> str:
    """The systemd unit that the policy is about. Raises HostsError where it names none."""
    workload = manifest.workload(OS.LINUX)
    if workload is None:
        raise HostsError(
            f"policy '{manifest.policy}' does not say what the application is on linux: "
            "write 'workload: {linux: {unit: NAME.service}}'."
        )
    return workload.name


def paths_of(manifest: Manifest) -> list[str]:
    """Paths of the policy that the host is to look for links in."""
    return list(compiler.asked_paths(manifest, OS.LINUX))


def bundle(manifest: Manifest, facts: dict[str, Any], today: date, cache: Cache) -> dict[str, Any]:
    """The bundle as plain data, with ``features_name``. Raises BackendError where the host cannot be compiled for."""
    print_ = features.fingerprint(facts)
    # The date is part of the key: a waiver may expire tomorrow.
    parts = (manifest.digest, print_, today.isoformat(), code_identity())
    key = hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def make() -> dict[str, Any]:
        found = features.from_data(facts)
        compiled = compiler.compile_bundle(manifest, found, today)
        return {"features_name": found.name, "bundle": compiled.to_data()}

    made: dict[str, Any] = cache.get_or_make("bundles", key, make)
    return made


@cache
def code_identity() -> str:
    """Changes with every change of the compiler's code, so that no bundle of another version is taken for ours."""
    return identity(sorted(PLUGIN_UTILS.rglob("*.py")))


# Ansible imports an action plugin once, to queue its task, and forks for each host.
schema.prepare()
code_identity()
