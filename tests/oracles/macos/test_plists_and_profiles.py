# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Property lists and profiles against parsers that are not ours: plistlib, expat, and TinyScheme where it is there."""

from __future__ import annotations

import plistlib
import xml.parsers.expat
from pathlib import Path

import pytest
from scheme import SCHEME, forms

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
GOLDEN = ROOT / "tests/unit/plugins/plugin_utils/backends/golden"
PLISTS = sorted(GOLDEN.glob("macos*/*/*.plist"))
PROFILES = sorted(GOLDEN.glob("macos*/*/*.sb"))


def name(file: Path) -> str:
    return "/".join(file.parts[-3:-1])


def test_there_are_golden_files():
    assert PLISTS and PROFILES


@pytest.mark.parametrize("file", PLISTS, ids=name)
def test_property_lists_are_read_by_both_parsers(file):
    content = file.read_bytes()
    job = plistlib.loads(content)
    keys: list[str] = []
    stack: list[str] = []
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = lambda tag, _: stack.append(tag)
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = lambda text: (
        keys.append(text) if stack == ["plist", "dict", "key"] else None
    )
    parser.Parse(content, True)
    assert keys == list(job)
    assert job["ProgramArguments"][-4:-1][0] == "/usr/bin/sandbox-exec"


def test_plistlib_rejects_a_key_without_a_value():
    """The control: some parsers take a dangling key."""
    broken = PLISTS[0].read_bytes().replace(b"<true/>", b"", 1)
    with pytest.raises(ValueError, match="unexpected key"):
        plistlib.loads(broken)


@pytest.mark.skipif(SCHEME is None, reason="tinyscheme is not installed (apt-get install tinyscheme)")
@pytest.mark.parametrize("file", PROFILES, ids=name)
def test_scheme_reads_one_form_a_line(file, tmp_path):
    lines = file.read_text("utf-8").splitlines()
    assert forms(file, tmp_path) == len(lines)


@pytest.mark.skipif(SCHEME is None, reason="tinyscheme is not installed (apt-get install tinyscheme)")
def test_scheme_sees_what_an_open_string_swallows(tmp_path):
    """The control: a quotation mark that was not escaped changes the count."""
    broken = tmp_path / "broken.sb"
    text = PROFILES[0].read_text("utf-8")
    broken.write_text(text.replace('"/usr/lib"', '"/usr/l"ib"', 1))
    assert forms(broken, tmp_path) != len(text.splitlines())
