# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows and macOS as wholes: every clause gets a word, golden files, determinism."""

from __future__ import annotations

import dataclasses
import json
import os
import random

import pytest
from other_systems import FEATURES, GOLDEN, ROOT, TODAY, leaves, load, manifest, policies, run, sample

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features, registry
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Grade, Status
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.compile import compile_bundle
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

OTHERS = [m.OS.WINDOWS, m.OS.MACOS]
REFERENCES = ["windows2022", "windows11", "macos14", "macos15"]
UPDATE = "BULKHEAD_UPDATE_GOLDEN"


def have(policy, system):
    return load(policy).workload(system) is not None


@pytest.mark.parametrize("system", OTHERS)
@pytest.mark.parametrize("kind", leaves())
def test_every_kind_of_clause_has_a_row(kind, system):
    rows = [backend.SUPPORT[kind] for backend in registry.backends(system) if kind in backend.SUPPORT]
    assert rows
    for row in rows:
        assert row.grade is Grade.EXACT or row.missing
        assert row.grade is Grade.NEVER or row.mechanism


@pytest.mark.parametrize("system", OTHERS)
@pytest.mark.parametrize("mode", list(m.Mode))
@pytest.mark.parametrize("kind", leaves())
def test_every_kind_of_clause_gets_a_verdict_that_fits_its_row(kind, mode, system):
    """Never means refused, coarser is enforced only where nothing is to be done or nothing is missing."""
    clause = sample(kind, system)
    # A limit of restarts is nothing without restarts.
    others = [m.Restart("resilience.restart")] if kind is m.RestartLimit else []
    for backend in registry.backends(system):
        row = backend.SUPPORT.get(kind)
        made = run(backend.NAME, system, clause, *others, mode=mode)
        for said in (said for said in made.verdicts if said.clause == clause.id):
            assert row is not None
            assert (said.status is Status.REFUSED) is (row.grade is Grade.NEVER), said
            assert said.status is Status.ENFORCED or said.detail
            assert bool(said.mechanisms) is (said.status is not Status.REFUSED)


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("policy", policies(), ids=lambda path: path.stem)
def test_every_clause_of_every_policy_has_one_verdict(policy, name):
    host = features.reference(name)
    if not have(policy, host.os):
        pytest.skip(f"{policy.stem} has no workload on {host.os.value}")
    wanted = load(policy)
    bundle = compile_bundle(wanted, host, TODAY)
    assert [said.clause for said in bundle.verdicts] == [clause.id for clause in wanted.clauses]
    assert not [said for said in bundle.verdicts if said.detail.startswith("No backend of")]


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("policy", policies(), ids=lambda path: path.stem)
def test_order_of_clauses_changes_no_byte(policy, name):
    host = features.reference(name)
    if not have(policy, host.os):
        pytest.skip(f"{policy.stem} has no workload on {host.os.value}")
    wanted = load(policy)
    first = compile_bundle(wanted, host, TODAY)
    for seed in range(5):
        clauses = list(wanted.clauses)
        random.Random(seed).shuffle(clauses)
        again = compile_bundle(dataclasses.replace(wanted, clauses=tuple(clauses)), host, TODAY)
        assert [(one.path, one.content) for one in again.artifacts] == [
            (one.path, one.content) for one in first.artifacts
        ]


@pytest.mark.parametrize("name", REFERENCES)
@pytest.mark.parametrize("policy", ["everything", "nginx"])
def test_golden_files(policy, name):
    """What is rendered, byte for byte. BULKHEAD_UPDATE_GOLDEN=1 writes the files anew, for the diff to be read."""
    (source,) = [path for path in policies() if path.stem == policy]
    bundle = compile_bundle(load(source), features.reference(name), TODAY)
    made = {one.path.replace("\\", "/").rpartition("/")[2]: one.content for one in bundle.artifacts}
    verdicts = [
        f"{v.status.value}\t{v.clause}\t{', '.join(v.mechanisms)}\t{v.detail}\n" for v in bundle.verdicts
    ]
    made["verdicts.tsv"] = "".join(verdicts).encode()
    folder = GOLDEN / name / policy
    if os.environ.get(UPDATE):
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for file, text in made.items():
            (folder / file).write_bytes(text)
    have = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert made == have, f"{folder.relative_to(ROOT)} differs; {UPDATE}=1 writes it anew"


@pytest.mark.parametrize("name", REFERENCES)
def test_references_say_where_they_come_from(name):
    record = json.loads((features.REFERENCE / f"{name}.json").read_text("utf-8"))
    assert "not collected from a host" in record["source"]
    assert features.reference(name).os.value == record["features"]["os"]


@pytest.mark.parametrize("system", OTHERS)
def test_nothing_is_read_back_or_probed_yet(system):
    made = [
        backend.compile(manifest(system), features.reference(FEATURES[system]))
        for backend in registry.backends(system)
    ]
    assert not [one for one in made if one.readbacks or one.probes or one.units]
