# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import converge_measure

TABLE = """Inter-|   Receive   |  Transmit
 face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed
    lo:  500  5 0 0 0 0 0 0  500  5 0 0 0 0 0 0
    v1: 1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0
   v12:    1  1 0 0 0 0 0 0    2  1 0 0 0 0 0 0
"""
# A shared connection of ssh behaves so: it outlives its command, and has used the processor.
LEAVES_ONE_BEHIND = """
import os, time
done, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    os.write(tell, b".")
    time.sleep(600)
os.read(done, 1)
"""


def test_cables_are_counted_both_ways() -> None:
    assert converge_measure.carried(TABLE, ["v1", "v12"]) == {"v1": 3000, "v12": 3}


def test_what_outlives_the_command_is_ended_and_counted(tmp_path: Path) -> None:
    program = [sys.executable, converge_measure.__file__, str(tmp_path / "answer"), str(tmp_path / "log")]
    subprocess.run([*program, sys.executable, "-c", LEAVES_ONE_BEHIND], check=True, timeout=300)
    answer = json.loads((tmp_path / "answer").read_text())
    assert answer["code"] == 0 and answer["cpu"] > 0.3
