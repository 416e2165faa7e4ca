# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changelog holds what the fragments say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
RENEW = "run `make changelog`"


def _entries(changes: dict[str, list[str] | str]) -> Iterator[tuple[str, str]]:
    for section, texts in changes.items():
        for text in [texts] if isinstance(texts, str) else texts:
            yield section, text


def _releases() -> dict[str, dict]:
    return yaml.safe_load((ROOT / "changelogs" / "changelog.yaml").read_text(encoding="utf-8"))["releases"]


def test_every_fragment_is_in_the_changelog() -> None:
    fragments = sorted((ROOT / "changelogs" / "fragments").glob("*.yml"))
    written = {
        entry for path in fragments for entry in _entries(yaml.safe_load(path.read_text(encoding="utf-8")))
    }
    told = {entry for release in _releases().values() for entry in _entries(release["changes"])}
    assert written - told == set(), RENEW


def test_the_version_of_the_collection_has_an_entry_and_a_title() -> None:
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert version in _releases(), RENEW
    assert f"\nv{version}\n======" in (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8"), RENEW


def test_no_text_is_left_that_no_fragment_says() -> None:
    names = {path.name for path in (ROOT / "changelogs" / "fragments").glob("*.yml")}
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    assert set(_releases()[version]["fragments"]) - names == set(), RENEW
