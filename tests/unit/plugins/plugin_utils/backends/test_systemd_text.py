# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quoting for unit files, and which clause made which line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linux_support import words

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.systemd_text import UnitText, quote

hostile = st.text(
    st.one_of(st.sampled_from("\"'\\%$ \t\n;#=:-+![]/a\u2028\x85\ud800"), st.characters()), max_size=20
)


@given(hostile)
@settings(deadline=None)
def test_a_quoted_value_reads_back_as_one_word_or_is_refused(value):
    try:
        text = quote(value, "clause")
    except BackendError as error:
        assert "(clause)" in str(error)
        return
    assert "\n" not in text
    assert [word.replace("%%", "%") for word in words(text)] == [value]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "An empty value cannot stand in a unit file (c): write one or remove the entry."),
        (
            "a\nExecStart=/bin/sh",
            "holds the control character '\\n', which no unit file can carry (c): remove it.",
        ),
        ("a\x85b", "control character"),
    ],
)
def test_values_that_no_line_can_carry_are_refused(value, said):
    with pytest.raises(BackendError) as caught:
        quote(value, "c")
    assert said in str(caught.value)


@pytest.mark.parametrize("value", ["/a\\", " /a", "/a ", '"/a"', "/a b", "/a\u00a0b"])
def test_bare_values_refuse_what_would_be_read_differently(value):
    with pytest.raises(BackendError, match=r"cannot stand unquoted in a unit file \(c\): rename it"):
        quote(value, "c", bare=True)


def test_specifiers_are_made_harmless():
    assert quote("/srv/%n", "c") == "/srv/%%n"
    assert quote("/srv/%n", "c", bare=True) == "/srv/%%n"


def test_a_list_is_cleared_first_and_each_line_knows_its_clause():
    text = UnitText("header", dropin=True)
    text.add("ReadWritePaths", "/b", "second")
    text.add("ReadWritePaths", "/a", "first")
    text.set("User", "demo", "user")
    content, lines = text.render()
    assert content.decode() == (
        "# header\n\n[Service]\nReadWritePaths=\nReadWritePaths=/a\nReadWritePaths=/b\nUser=demo\n"
    )
    assert lines == ((4, "first"), (5, "first"), (6, "second"), (7, "user"))


def test_binds_share_one_list_so_the_second_kind_is_never_cleared():
    text = UnitText("header", dropin=True)
    text.add("BindReadOnlyPaths", "/lib", "x")
    text.add("BindPaths", "/data", "x")
    assert b"BindReadOnlyPaths=\n" not in text.render()[0]
    assert text.render()[0].index(b"BindPaths=\n") < text.render()[0].index(b"BindReadOnlyPaths=/lib")


def test_a_file_of_ones_own_clears_nothing():
    text = UnitText("header")
    text.add("ExecStart", "/bin/true", "x")
    assert b"ExecStart=\n" not in text.render()[0]


def test_a_scalar_has_one_value():
    text = UnitText("header")
    text.set("User", "a", "x")
    with pytest.raises(AssertionError, match="User is set to a and to b"):
        text.set("User", "b", "y")
