# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluator of AppArmor on a profile that was written by hand."""

from __future__ import annotations

import pytest
from apparmor_profile import Confinement

TEXT = r"""abi <abi/3.0>,

profile app flags=(attach_disconnected) {
  capability setuid,
  network inet stream,
  deny network inet6,
  "/etc/app{,/,/**}" r,
  "/usr/bin/app" mrix,
  "/var/lib/app/[^p/]**" rwk,
  "/var/lib/app/p[^r/]**" rwk,
  "/var/log/app/*.log" w,
  audit deny "/etc/app/secret{,/,/**}" rwx,
  "/srv/a\040b/\133x\135\303\251?" r,
  "/opt/tool" cx -> helper,
  "/opt/two\040words" mrpx -> app//&app//helper,
  profile helper {
    "/etc/shadow" r,
  }
}
"""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/etc/app", "r"),
        ("/etc/app/x/y", "r"),
        ("/etc/apple", ""),
        ("/etc/app/secret", ""),
        ("/etc/app/secret/x", ""),
        ("/etc/app/secrets", "r"),
        ("/usr/bin/app", "rx"),
        ("/usr/bin/app/x", ""),
        ("/var/lib/app/data/x", "rw"),
        ("/var/lib/app/private", ""),
        ("/var/lib/app/public", "rw"),
        ("/var/lib/app", ""),
        ("/var/log/app/a.log", "w"),
        ("/var/log/app/a/b.log", ""),
        ("/srv/a b/[x]é1", "r"),
        ("/srv/a b/xé1", ""),
        ("/opt/tool", "x"),
        ("/etc/shadow", ""),  # of the child's profile
        ("/bin/sh", ""),
    ],
)
def test_paths(path: str, allowed: str) -> None:
    found = Confinement(TEXT)
    actions = (("r", "read"), ("w", "write"), ("x", "execute"))
    assert "".join(letter for letter, action in actions if found.allows(action, path)) == allowed


def test_sockets() -> None:
    found = Confinement(TEXT)
    assert found.opens("inet", "stream") and not found.opens("inet", "dgram")
    assert not found.opens("inet6", "stream") and not found.opens("unix", "stream")
    assert Confinement("profile a {\n  network,\n}\n").opens("inet6", "dgram")


def test_a_profile_that_complains_denies_only_what_it_denies_by_name() -> None:
    found = Confinement(TEXT.replace("attach_disconnected", "complain"))
    assert found.allows("execute", "/bin/sh") and not found.allows("read", "/etc/app/secret")


@pytest.mark.parametrize("rule", ['"/a@{HOME}" r,', "fly,", '"/a{b" r,'])
def test_what_is_not_known_is_no_answer(rule: str) -> None:
    with pytest.raises(ValueError):
        Confinement(f"profile a {{\n  {rule}\n}}\n")


@pytest.mark.parametrize(
    ("program", "names"),
    [("/opt/tool", ["app//helper"]), ("/opt/two words", ["app", "app//helper"]), ("/usr/bin/app", ["app"])],
)
def test_what_a_program_runs_under(program: str, names: list[str]) -> None:
    under = Confinement(TEXT).started(program)
    assert [one.name for one in under] == names
    assert all(one.allows("read", "/etc/shadow") for one in under) is (names == ["app//helper"])


@pytest.mark.parametrize("rule", ['"/a" px -> other,', '"/a*" px -> a,'])
def test_a_change_to_nowhere_or_of_many_programs_is_no_answer(rule: str) -> None:
    with pytest.raises(ValueError):
        Confinement(f"profile a {{\n  {rule}\n}}\n").started("/a")
