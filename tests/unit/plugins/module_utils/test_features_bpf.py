# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import features_bpf


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(os.geteuid() != 0, reason="loading a filter needs root")
def test_the_kernel_takes_a_filter_from_root_and_none_stays():
    before = open_files()
    assert features_bpf.takes_device_filter() is True
    assert open_files() == before


def test_a_program_that_the_kernel_refuses_is_none(monkeypatch):
    monkeypatch.setattr(features_bpf, "PROGRAM", features_bpf.PROGRAM[:8])  # it does not end
    assert features_bpf.takes_device_filter() is False


def test_an_unknown_machine_has_none(monkeypatch):
    monkeypatch.setattr(features_bpf, "NUMBERS", {})
    assert features_bpf.takes_device_filter() is False
