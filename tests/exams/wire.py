# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire between ssh and a lab host, as its ProxyCommand: wire.py FOLDER NAME COMMAND..., which reaches the host.

A file ``<NAME>.away`` in FOLDER cuts it and lets no other one be made; with ``<NAME>.slow`` whatever is sent, either
way, takes SLOW seconds longer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

SLOW = 2.0


def pump(source: int, sink: int, slow: Path) -> None:
    while data := os.read(source, 1 << 16):
        if slow.exists():
            time.sleep(SLOW)
        while data:
            data = data[os.write(sink, data) :]
    os.close(sink)


def carry(folder: Path, name: str, command: list[str]) -> None:
    away, slow = folder / f"{name}.away", folder / f"{name}.slow"
    if away.exists():
        return
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        ways = ((0, process.stdin.fileno()), (process.stdout.fileno(), 1))
        threads = [Thread(target=pump, args=(*way, slow), daemon=True) for way in ways]
        for thread in threads:
            thread.start()
        while threads[1].is_alive() and not away.exists():
            threads[1].join(0.1)
        process.kill()
    os._exit(0)  # whoever still waits for something to send


if __name__ == "__main__":
    carry(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
