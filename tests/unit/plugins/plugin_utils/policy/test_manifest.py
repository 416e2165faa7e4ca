# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The canonical bytes depend on what a policy says, and on nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from policy_support import CASES, GROUPS, TODAY, Make, shuffled

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import library
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.manifest import canonical, digest, to_data
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.parse import parse
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve

SAMPLES = [
    CASES / "everything.accepted.yml",
    CASES / "widened.accepted.yml",
    *sorted(library.OWN.glob("*.yml")),
]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_order_of_any_list_gives_the_same_bytes(path: Path, seed: int) -> None:
    data = parse(str(path), path.read_bytes()).data
    for waiver in data.get("waivers", []):
        waiver["clause"] = waiver["clause"].replace(
            "network.connect[3]", "network.connect[api.example.com tcp/443]"
        )
    with TemporaryDirectory() as folder:
        other = Path(folder) / "app.yml"
        other.write_text(yaml.safe_dump(shuffled(data, Random(seed)), sort_keys=False), encoding="utf-8")
        groups = {"app_servers": shuffled(GROUPS["app_servers"], Random(seed))}
        again = load_and_resolve(other, [CASES, path.parent], groups, TODAY)
    assert canonical(again) == canonical(load_and_resolve(path, [CASES], GROUPS, TODAY))


def test_the_digest_is_of_the_canonical_bytes(make: Make) -> None:
    manifest = make()
    assert manifest.digest == digest(manifest) == hashlib.sha256(canonical(manifest)).hexdigest()


def test_it_is_plain_json(make: Make) -> None:
    manifest = make("filesystem: {read: [{path: /srv/app, why: static files}]}\n")
    data = json.loads(canonical(manifest))
    assert data == to_data(manifest)
    (read,) = (clause for clause in data["clauses"] if clause["kind"] == "Read")
    assert read == {
        "kind": "Read",
        "id": "filesystem.read[/srv/app]",
        "path": {"text": "/srv/app", "by_os": {"linux": "/srv/app", "macos": "/srv/app"}, "glob": False},
    }


def test_places_and_reasons_are_not_in_it(make: Make) -> None:
    one = make("filesystem: {read: [{path: /srv/app, why: static files}]}\n")
    other = make("\n\n# moved\nfilesystem:\n  read:\n    - /srv/app\n")
    assert canonical(one) == canonical(other)


def test_every_value_is_in_it(make: Make) -> None:
    assert make("memory: {limit: 1GiB}\n").digest == make("memory: {limit: 1024MiB}\n").digest
    assert make("memory: {limit: 1GiB}\n").digest != make("memory: {limit: 1GB}\n").digest
