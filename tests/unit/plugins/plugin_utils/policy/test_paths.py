# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import Refusal
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import OS, PathRef
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.paths import (
    PathNames,
    covers,
    family,
    meet,
    normal,
)

LINUX = OS.LINUX
NAMES = PathNames(
    {"config": {OS.LINUX: "/etc/app", OS.WINDOWS: "C:\\app\\conf", OS.MACOS: None}},
    {OS.LINUX: "/usr/bin/app", OS.WINDOWS: None},
)
WORD = st.text(st.sampled_from("ab[*?]"), min_size=1, max_size=3)
PATHS = st.lists(WORD, min_size=0, max_size=4).map(lambda parts: "/" + "/".join(parts))


def ref(path: str, *, glob: bool = False, os: OS = LINUX) -> PathRef:
    return PathRef(path, ((os, path),), glob)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etc//app/", "/etc/app"),
        ("/", "/"),
        ("/srv/a [b]*", "/srv/a [b]*"),
        ("c:/app//conf/", "C:\\app\\conf"),
        ("D:\\", "D:\\"),
        ("\\\\server\\share\\x\\", "\\\\server\\share\\x"),
    ],
)
def test_normal(text: str, expected: str) -> None:
    assert normal(text) == expected
    assert normal(expected) == expected


@pytest.mark.parametrize(
    ("text", "message", "fix"),
    [
        ("", "the path is empty.", "write an absolute path"),
        ("etc", "the path 'etc' is relative.", "write '/etc'"),
        ("./etc", "the path './etc' is relative.", "write '/etc'"),
        ("/a/../b", "the path '/a/../b' holds '..'.", "write '/b'"),
        ("C:\\a\\..\\b", "the path 'C:\\a\\..\\b' holds '..'.", "write 'C:\\b'"),
        ("C:\\a*", "the path 'C:\\a*' holds '*', which no Windows name can.", "remove it"),
        (
            "\\\\server",
            "the path '\\\\server' is a device path or no share.",
            "write C:\\... or \\\\server\\share",
        ),
    ],
)
def test_refused(text: str, message: str, fix: str) -> None:
    with pytest.raises(Refusal) as caught:
        normal(text)
    assert (caught.value.message, caught.value.help_text) == (message, fix)


def test_a_literal_belongs_to_its_family() -> None:
    assert family("/etc") == (OS.LINUX, OS.MACOS)
    assert family("C:\\app") == (OS.WINDOWS,)
    assert dict(NAMES.resolve("/etc/x").by_os) == {OS.LINUX: "/etc/x", OS.MACOS: "/etc/x"}


def test_a_name_is_what_the_document_says() -> None:
    found = NAMES.resolve("$config")
    assert found.text == "$config"
    assert found.on(OS.WINDOWS) == "C:\\app\\conf"
    assert found.known_on(OS.MACOS) and found.on(OS.MACOS) is None


def test_below_a_name() -> None:
    found = NAMES.resolve("$config/sites//a/")
    assert found.text == "$config/sites/a"
    assert found.on(OS.LINUX) == "/etc/app/sites/a"
    assert found.on(OS.WINDOWS) == "C:\\app\\conf\\sites\\a"


def test_nothing_climbs_out_of_a_name() -> None:
    with pytest.raises(Refusal, match="holds '..'"):
        NAMES.resolve("$config/../../etc/shadow")


def test_program_needs_an_executable_on_every_workload() -> None:
    with pytest.raises(Refusal) as caught:
        NAMES.resolve("$program")
    assert caught.value.message == "$program is unknown on windows."
    assert caught.value.help_text == "write workload.windows.executable"


def test_on_says_that_the_others_need_nothing() -> None:
    found = NAMES.resolve("/etc/x", on=[OS.LINUX])
    assert dict(found.by_os) == {OS.LINUX: "/etc/x", OS.MACOS: None, OS.WINDOWS: None}


@pytest.mark.parametrize(
    ("path", "glob", "other", "depth"),
    [
        ("/etc", False, "/etc/app/x", 2),
        ("/etc", False, "/etcetera", 0),
        ("/", False, "/etc", 1),
        ("/var/*.log", True, "/var/a.log", 3),
        ("/var/*.log", True, "/var/x/a.log", 0),
        ("/var/[a]", False, "/var/a", 0),
        ("/var/[a]", False, "/var/[a]", 3),
    ],
)
def test_covers(path: str, glob: bool, other: str, depth: int) -> None:
    assert covers(ref(path, glob=glob), other, LINUX) == depth


def test_case_matters_on_linux_alone() -> None:
    assert covers(ref("/Etc"), "/etc/x", LINUX) == 0
    assert covers(ref("/Usr", os=OS.MACOS), "/usr/x", OS.MACOS) == 2
    assert covers(ref("C:\\App", os=OS.WINDOWS), "c:\\app\\x", OS.WINDOWS) == 3


@pytest.mark.parametrize(
    ("first", "second", "os"),
    [
        ("/var/run/x", "/run/x", LINUX),
        ("/var/lock", "/run/lock/a", LINUX),
        ("/bin", "/usr/bin/env", LINUX),
        ("/etc/passwd", "/private/etc/passwd", OS.MACOS),
        ("/var/x", "/private/var/x/y", OS.MACOS),
    ],
)
def test_what_every_host_links_is_one_place(first: str, second: str, os: OS) -> None:
    assert meet(ref(first, os=os), ref(second, os=os), os) and meet(ref(second, os=os), ref(first, os=os), os)


@pytest.mark.parametrize(
    "glob", ["/a][b*", "/a[b]c]d[*", "/[!-a]x*", "/a[.-9]*", "/a[z-a]*", "/a[^b]*", "/a[b-]*", "/a[A-z]*"]
)
def test_brackets_that_systems_read_differently_are_refused(glob: str) -> None:
    with pytest.raises(Refusal, match="bracket|range|differently"):
        normal(glob, glob=True)


@pytest.mark.parametrize("glob", ["/a[b-d]*", "/a[!b-d0-9_.]", "/[x]"])
def test_brackets_of_characters_and_rising_ranges_are_taken(glob: str) -> None:
    assert normal(glob, glob=True) == glob


@given(PATHS, PATHS, st.booleans(), st.booleans())
def test_meeting_is_mutual(a: str, b: str, first: bool, second: bool) -> None:
    one, other = ref(a, glob=first), ref(b, glob=second)
    assert meet(one, other, LINUX) == meet(other, one, LINUX)


@given(PATHS, PATHS, st.booleans())
def test_what_covers_a_path_meets_it(a: str, b: str, glob: bool) -> None:
    if covers(ref(a, glob=glob), b, LINUX):
        assert meet(ref(a, glob=glob), ref(b), LINUX)


@given(PATHS)
def test_normal_is_stable(path: str) -> None:
    assert normal(normal(path)) == normal(path)
