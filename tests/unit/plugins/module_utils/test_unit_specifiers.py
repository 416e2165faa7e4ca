# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Specifiers as systemd expands them. The values were recorded from ``systemctl show`` of systemd 252 and 257."""

from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import unit_specifiers

UNIT = r"vend-spec-a@main-1\x2dx.service"
VALUES = {
    "%n": UNIT,
    "%N": r"vend-spec-a@main-1\x2dx",
    "%p": "vend-spec-a",
    "%P": "vend/spec/a",
    "%i": r"main-1\x2dx",
    "%I": "main/1-x",
    "%j": "a",
    "%J": "a",
    "%f": "/main/1-x",
    "%t": "/run",
    "%S": "/var/lib",
    "%C": "/var/cache",
    "%L": "/var/log",
    "%E": "/etc",
    "%T": "/tmp",
    "%V": "/var/tmp",
    "%u": "root",
    "%U": "0",
    "%h": "/root",
    "%%": "%",
    "a%%p%pb": "a%pvend-spec-ab",
    "plain": "plain",
}


@pytest.mark.parametrize(("text", "want"), VALUES.items())
def test_specifiers_of_a_units_name_and_of_the_system(text, want):
    assert unit_specifiers.expand(text, UNIT) == want


def test_a_unit_without_an_instance():
    assert unit_specifiers.expand("%p|%i|%I|%j|%f", "web-front.service") == "web-front|||front|/web/front"


@pytest.mark.parametrize("text", ["%H", "x/%m", "%b", "%z", "100%"])
def test_what_the_unit_does_not_tell_is_refused_by_name(text):
    with pytest.raises(ValueError, match="%"):
        unit_specifiers.expand(text, UNIT)
