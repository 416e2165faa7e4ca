# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a generation was made of is kept, and nothing is believed that was changed since."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import knowledge

NAMES = ("nginx", "postgresql", "redis", "bulletin")
DIGEST = "d" * 64
ROOT = Path(__file__).parents[5]


def policy(name: str, text: tuple[str, str] = ("", ""), folder: Path | None = None):  # type: ignore[no-untyped-def]
    groups = GroupAddresses({"all": []}, {})
    if folder is None:
        return compiled.load(name, [], groups, None, date(2026, 11, 24))
    path = folder / f"{name}.yml"
    path.write_text((ROOT / "policies" / f"{name}.yml").read_text("utf-8").replace(*text), "utf-8")
    return compiled.load(str(path), [], groups, None, date(2026, 11, 24))


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_policy_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    manifest = policy(name)
    knowledge.remember(tmp_path / "kept", DIGEST, manifest)
    found = knowledge.recall(tmp_path / "kept", DIGEST)
    assert found is not None and found.digest == manifest.digest
    assert knowledge.widenings(found, manifest) == []


def test_what_widens_is_one_sentence(tmp_path: Path) -> None:
    old, new = policy("nginx"), policy("nginx", ("max_open: 4096", "max_open: 8192"), tmp_path)
    [said] = [text for text in knowledge.widenings(old, new) if "max_open" in text]
    assert said.startswith("nginx ") and " widens " in said
    assert not [text for text in knowledge.widenings(new, old) if "max_open" in text]


def test_an_edited_one_is_not_believed(tmp_path: Path) -> None:
    manifest = policy("redis")
    knowledge.remember(tmp_path, DIGEST, manifest)
    path = tmp_path / f"{DIGEST}.json"
    data = json.loads(path.read_text("utf-8"))
    data["version"] = "9.9.9"
    path.write_text(json.dumps(data), "utf-8")
    assert knowledge.recall(tmp_path, DIGEST) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"=": "Path"}', '{"=": "Manifest"}', '{"=": "annotations"}', "\0"]
)
def test_what_is_no_policy_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / f"{DIGEST}.json").write_text(text, "utf-8")
    assert knowledge.recall(tmp_path, DIGEST) is None


def test_a_name_that_leads_elsewhere_is_none(tmp_path: Path) -> None:
    assert knowledge.recall(tmp_path / "kept", "../secret") is None
