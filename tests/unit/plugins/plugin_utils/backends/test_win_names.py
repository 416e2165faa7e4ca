# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re

import pytest
from hypothesis import given
from other_systems import hostile_text, manifest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import win_names
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy import model as m


def test_the_sid_of_a_service_that_everybody_knows():
    """Windows' own TrustedInstaller, whose SID is the same on every machine."""
    known = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    assert win_names.service_sid("TrustedInstaller") == known
    assert win_names.service_sid("trustedINSTALLER") == known


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "a\nb", "ß", " a", "a" * 257])
def test_a_name_that_no_service_has_is_refused(name):
    with pytest.raises(BackendError, match=re.escape(f"{name!r} cannot name a Windows service")):
        win_names.service_of(manifest(m.OS.WINDOWS, name=name))


@pytest.mark.parametrize(
    "text",
    [
        "C:x",
        "x",
        r"\\?\C:\x",
        r"C:\a\..\b",
        r"C:\a.",
        r"C:\a ",
        r"C:\a:stream",
        r"C:\a*",
        "C:\\a\x00",
        r"C:\A~1",
    ],
)
def test_paths_with_another_meaning_are_refused(text):
    with pytest.raises(BackendError, match=re.escape(repr(text))):
        win_names.windows_path(text, "c")


def test_paths_get_one_spelling():
    assert win_names.windows_path("c:/Program Files//x/", "c") == "C:\\Program Files\\x"
    assert win_names.windows_path("c:\\", "c") == "C:\\"


def test_within_ignores_case_and_minds_names():
    assert win_names.within(r"C:\A\b", r"c:\a")
    assert win_names.within(r"C:\a", "C:\\")
    assert not win_names.within(r"C:\ab", r"C:\a")


@given(hostile_text)
def test_lines_find_the_clause_key_and_nothing_else(text):
    content = win_names.document({"a": text, "clause": text})
    assert [clause for _, clause in win_names.lines_of(content)] == [text]
