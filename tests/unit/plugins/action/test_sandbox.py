# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin through ansible-playbook, as far as a task gets without a host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
ANSIBLE = Path(sys.executable).with_name("ansible")


def task(tmp_path: Path, arguments: str, *variables: str, module: str = "sandbox") -> str:
    argv = [str(ANSIBLE), "h", "-i", "h,", "-m", f"bulkhead.fleet.{module}", "-a", arguments]
    for variable in ("ansible_host=127.0.0.1", "ansible_port=1", *variables):
        argv += ["-e", variable]
    home = {"ANSIBLE_HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    done = subprocess.run(
        argv, cwd=ROOT, env=os.environ | home, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_fault_of_a_policy_is_told_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("schema: 1\npolicy: web\ncolour: red\nmode: strict\n")
    text = task(tmp_path, f"policy=web policies_dirs={tmp_path}")
    assert "web.yml:3:1" in text and "web.yml:4:7" in text and "colour" in text
    assert "UNREACHABLE" not in text


def test_a_policy_that_is_not_there(tmp_path: Path) -> None:
    text = task(tmp_path, "policy=ngnix")
    assert "there is no policy 'ngnix'" in text and "nginx" in text


@pytest.mark.parametrize("module", ["sandbox", "sandbox_info", "denials_info"])
def test_windows_is_refused_before_a_connection(tmp_path: Path, module: str) -> None:
    text = task(tmp_path, "policy=nginx", "ansible_shell_type=powershell", module=module)
    assert "applying on windows is not in this version; render it with bulkhead.fleet.render." in text
    assert "UNREACHABLE" not in text


def test_options_are_checked_on_the_controller(tmp_path: Path) -> None:
    text = task(tmp_path, "policy=nginx state=maybe")
    assert "state" in text and "maybe" in text and "UNREACHABLE" not in text


def test_a_confirmation_time_that_makes_no_sense(tmp_path: Path) -> None:
    assert "confirm_within is 1: give 5 to 86400 seconds." in task(tmp_path, "policy=nginx confirm_within=1")


def test_an_unreachable_host_is_unreachable(tmp_path: Path) -> None:
    assert "UNREACHABLE" in task(tmp_path, "policy=nginx")
