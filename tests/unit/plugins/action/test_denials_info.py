# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugin through ansible, as far as a task gets without a host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]


def test_faults_of_the_policy_are_told_before_a_host_is_asked(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("schema: 1\npolicy: web\ncolour: red\n")
    argv = [
        *(str(Path(sys.executable).with_name("ansible")), "h", "-i", "h,", "-e", "ansible_host=127.0.0.1"),
        *(
            "-e",
            "ansible_port=1",
            "-m",
            "bulkhead.fleet.denials_info",
            "-a",
            f"policy=web policies_dirs={tmp_path}",
        ),
    ]
    home = {"ANSIBLE_HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"}
    done = subprocess.run(argv, cwd=ROOT, env=os.environ | home, capture_output=True, text=True, timeout=60)
    text = done.stdout + done.stderr
    assert done.returncode != 0 and "web.yml:3:1" in text and "colour" in text
    assert "Traceback" not in text and "UNREACHABLE" not in text
