# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a refused call is where no label says it."""

from __future__ import annotations

import os
import time
from types import SimpleNamespace

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import (
    denials_audit,
    denials_numbers,
    denials_owner,
    denials_seccomp,
    readback_facts,
)

NOW = 1764410000.0
WEB = "/usr/sbin/nginx"


def attributed(owner: denials_seccomp.Owner, body: str, at: float = NOW, this_boot: bool = True) -> str:
    record = denials_audit.record(
        denials_audit.SECCOMP, int(at * 1e3), 1, f"subj=unconfined {body} syscall=101 code=0x50000"
    )
    facts = denials_seccomp.denial(record, owner, this_boot)
    return facts["attribution"] if facts else ""


@pytest.mark.parametrize(
    ("body", "at", "this_boot", "how"),
    [
        ("uid=33 pid=812", NOW, True, "control_group"),
        ("uid=0 pid=812", NOW, True, "control_group"),  # before it became another user
        ("pid=812", NOW, True, "control_group"),
        ("uid=105 pid=812", NOW, True, ""),
        ("uid=105 pid=812", NOW, False, ""),
        ("uid=33 pid=812", NOW, False, ""),
        ("uid=33 pid=812", NOW - 11, True, ""),  # the number was another's
        ("uid=33 pid=813", NOW, True, ""),
        ("uid=33 pid=x", NOW, True, ""),
    ],
)
def test_a_process_is_the_units_from_its_own_start_on(
    body: str, at: float, this_boot: bool, how: str
) -> None:
    owner = denials_seccomp.Owner("web", {812: (NOW - 10, 33)}, uid=0)
    assert attributed(owner, body, at, this_boot) == how


@pytest.mark.parametrize(
    ("uid", "body", "how"),
    [
        (33, "uid=33 pid=1", "account"),
        (33, f'uid=33 pid=1 exe="{WEB}"', "program"),
        (0, "uid=0 pid=1", ""),
        (None, "uid=33 pid=1", ""),
        (None, "pid=1", ""),  # two who are not known are not the same
        (None, "uid=-1 pid=1", ""),
    ],
)
def test_an_account_that_is_not_known_is_nobodys(uid: int | None, body: str, how: str) -> None:
    assert attributed(denials_seccomp.Owner("web", uid=uid, program=WEB), body) == how


def test_a_process_begins_with_itself_and_not_before_its_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readback_facts.Facts, "pids", lambda _facts, _unit: [os.getpid(), 2**31])
    bundle = SimpleNamespace(policy="web", unit="web.service", artifacts=[])

    def since(micros: str) -> float:
        facts = readback_facts.Facts()
        shown = {"User": "www-data", "UID": "33", "MainPID": "0", "InactiveExitTimestampMonotonic": micros}
        facts.know({"web.service": shown})
        owner = denials_owner.of(bundle, facts)
        assert owner.uid == 33 and list(owner.pids) == [os.getpid()]
        begun, user = owner.pids[os.getpid()]
        assert user == os.getuid()
        return begun

    own = since("0")
    assert denials_numbers.booted() < own < time.time()
    assert since("1") == pytest.approx(own, abs=0.5)
    later = int(time.monotonic() * 1e6)
    assert since(str(later)) == pytest.approx(time.time() - 1, abs=0.5)
