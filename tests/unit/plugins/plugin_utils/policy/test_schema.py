# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema file: true to its draft, and in step with the code's own tables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from policy_support import WORKLOAD, Make

from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import schema, words
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.clauses import SECTIONS
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyError, PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS, Mode, Risk
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.parse import parse
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.schema import (
    SCHEMA_FILE,
    definition,
    validate,
)
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.source import GONE


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from schemas(value)
    elif isinstance(node, list):
        for value in node:
            yield from schemas(value)


def test_it_is_a_schema_of_its_draft() -> None:
    data = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    assert data["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(data)


def test_no_mapping_lets_an_unknown_key_pass() -> None:
    data = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    for one in schemas(data["$defs"]):
        kinds = one.get("type", [])
        if "properties" in one and "object" in ([kinds] if isinstance(kinds, str) else kinds):
            assert "additionalProperties" in one, one


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (definition("privilege_name")["enum"], words.PRIVILEGES),
        (definition("families")["items"]["enum"], words.FAMILIES),
        (definition("syscalls")["items"]["enum"], words.SYSCALL_GROUPS),
        (definition("os")["enum"], [os.value for os in OS]),
        (definition("policy")["properties"]["mode"]["enum"], [mode.value for mode in Mode]),
        (definition("policy")["properties"]["risk"]["enum"], [risk.value for risk in Risk]),
    ],
)
def test_vocabularies_are_those_of_the_code(names: list[str], known: Any) -> None:
    assert names == list(known)


def test_every_section_of_the_model_can_be_written() -> None:
    def properties(node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in node:
            node = {**definition(node["$ref"].rpartition("/")[2]), **node}
        found: dict[str, Any] = node.get("properties", {})
        return found

    policy = definition("policy")
    for section in SECTIONS:
        node = policy
        for step in section.split("."):
            assert step in properties(node), section
            node = properties(node)[step]


def test_what_is_at_fault_is_cut_and_the_rest_stays() -> None:
    source = parse("app.yml", b"schema: 1\npolicy: app\nfilesystem: {read: [/a, 5, /b], wrte: [/c]}\n")
    data = validate(source)
    assert data["filesystem"] == {"read": ["/a", GONE, "/b"]}
    messages = {fault.message for fault in source.faults}
    assert messages == {
        "'version' is missing.",
        "'owner' is missing.",
        "'workload' is missing.",
        "unknown key 'wrte'.",
        "'5' is a number where text or a mapping belongs.",
    }


def test_a_baseline_grants_nothing() -> None:
    source = parse("b.yml", b"schema: 1\nbaseline: b\nfilesystem: {write: [/]}\n")
    validate(source, "baseline")
    assert [fault.message for fault in source.faults] == ["unknown key 'write'."]


@pytest.mark.parametrize(
    "body",
    [
        "network: {connect: [{to: 5, ports: [tcp/1]}]}",
        "network: {listen: [{port: 80}]}",
        "filesystem: {read: [{path: [a]}]}",
        "identity: {privileges: [{name: root}]}",
        "waivers: [{clause: 5, on: linux, reason: a, owner: a, until: 2027-01-01}]",
        "widens: [{clause: 5, reason: a}]",
        "examples: {must_deny: [{read: 5}]}",
        "health: [{tcp: 80}]",
        "secrets: [{name: '', source: /a}]",
        "components: [{name: A, policy: helper}]",
        "health: [null]",
        "examples: {must_deny: [null]}",
        "workload: {}",
    ],
)
def test_one_fault_is_told_once(make: Make, body: str) -> None:
    with pytest.raises(PolicyFaults) as caught:
        make(f"{body}\n", workload="" if body.startswith("workload") else WORKLOAD)
    assert len(caught.value.faults) == 1, str(caught.value)


def test_a_host_takes_every_name_that_a_policy_may_have() -> None:
    pattern = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))["$defs"]["policy_name"]["pattern"]
    for name in (*bundles.RESERVED, "a-", "a_", "a", "guards", "php-fpm", "x" * 48, "A", "1a", "a.b", ""):
        if re.search(pattern, name):
            assert bundles.check_name(name) == name
    assert not any(re.search(pattern, name) for name in (*bundles.RESERVED, "a-", "a_", "A", "a.b"))


def test_checks_are_made_ready_without_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[str] = []
    monkeypatch.setattr(schema.re, "compile", found.append)
    schema._validator.cache_clear()
    schema.prepare()
    assert schema._validator.cache_info().currsize == 2
    assert len(found) > 10


def test_without_its_library_a_check_says_so_and_nothing_else_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "Draft202012Validator", None)
    schema._validator.cache_clear()
    schema.prepare()
    with pytest.raises(PolicyError, match="'jsonschema' is not installed on the controller"):
        schema._validator("policy")
    schema._validator.cache_clear()
