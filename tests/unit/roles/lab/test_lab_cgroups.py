# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from bulkhead_lab.cgroups import forbidden

# /proc/PID/status of an nspawn host's init, and of a process with every capability
LAB_HOST = "Name:\tsystemd\nNSpid:\t4711\t1\nCapBnd:\t000000c0fcecbfff\n"
ALL_POWERFUL = "Name:\tsystemd\nCapBnd:\t000001ffffffffff\n"


def test_a_lab_host_could_not_set_the_clock() -> None:
    # CAP_SYS_RAWIO is bit 17, CAP_SYS_TIME bit 25
    assert forbidden("CapBnd:\t0000000002020000\n") == ["CAP_SYS_RAWIO", "CAP_SYS_TIME"]
    assert forbidden(LAB_HOST) == []


def test_every_forbidden_capability_is_named() -> None:
    assert forbidden(ALL_POWERFUL) == ["CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_TIME"]


def test_a_process_without_status_has_none() -> None:
    assert forbidden("") == []
