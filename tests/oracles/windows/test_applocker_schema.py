# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AppLocker XML against Microsoft's own schema; skipped where that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
import xmlschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vendor import SCHEMA

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import win_applocker
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import Features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
GOLDEN = ROOT / "tests/unit/plugins/plugin_utils/backends/golden"

pytestmark = pytest.mark.skipif(
    not SCHEMA.is_file(), reason=f"no AppLocker.xsd in {SCHEMA.parent} (BULKHEAD_SCHEMAS names the folder)"
)


@pytest.fixture(scope="module")
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(SCHEMA))


def test_there_are_golden_files():
    assert list(GOLDEN.glob("*/*/applocker.xml"))


@pytest.mark.parametrize(
    "file", sorted(GOLDEN.glob("*/*/applocker.xml")), ids=lambda file: "/".join(file.parts[-3:-1])
)
def test_golden_files_are_valid(schema, file):
    schema.validate(str(file))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('Action="Deny"', 'Action="Forbid"'),
        ('EnforcementMode="Enabled">', 'EnforcementMode="On">'),
        ("UserOrGroupSid=", "UserSid="),
        ("<Conditions>", "<Conditions><Extra/>"),
    ],
)
def test_the_schema_rejects_what_is_wrong(schema, before, after):
    """The control: a schema that accepts everything would prove nothing."""
    text = (GOLDEN / "windows2022/nginx/applocker.xml").read_text("utf-8")
    assert before in text
    schema.validate(text)
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema.validate(text.replace(before, after, 1))


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.sampled_from([m.Execute, m.Deny]), st.text(max_size=12), st.text(max_size=40))))
def test_any_policy_is_valid(schema, found):
    clauses = tuple(
        kind(identity, path=m.PathRef(text, ((m.OS.WINDOWS, "C:\\x" + text),)))
        for kind, text, identity in found
    )
    workload = m.Workload(m.OS.WINDOWS, "demo", r"C:\demo\demo.exe")
    manifest = m.Manifest("demo", "1.0.0", "tests", m.Risk.LOW, "", m.Mode.AUDIT, (workload,), clauses)
    (artifact,) = win_applocker.compile(manifest, Features(m.OS.WINDOWS, "any")).artifacts
    schema.validate(artifact.content.decode("utf-8"))
