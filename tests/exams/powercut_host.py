# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A QEMU machine whose power is cut: its disk at one moment is copied while it works on, and another machine boots from
the copy. That one gets no further than basic.target, where it tells on its serial line what its files are; it may be
reset on its way, any number of times.
"""

from __future__ import annotations

import base64
import gzip
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kill_trials import FILES, STATE
from lab_host import INVENTORY, LAB, LabHost

sys.path.append(str(LAB.parent))
from bulkhead_lab.qmp import Monitor  # noqa: E402

RECOVER, UNITS, PLACE = "bulkhead-recover.service", "/etc/systemd/system", "/opt/bulkhead-exam"
MARK, PREFIX, END = "=== ", "exam:", "exam ends"
LOOKS = {
    "boot": "cat /proc/sys/kernel/random/boot_id",
    "active": f"cat {STATE}/active",
    "records": f"ls {STATE}/pending.json {STATE}/reverting.json 2>/dev/null",
    "recover": f"systemctl show -p ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic {RECOVER}",
    "target": "systemctl show -p ActiveEnterTimestampMonotonic basic.target",
    "moves": f"cat {PLACE}/moves 2>/dev/null",
    "receipts": f"cat {STATE}/receipts.jsonl",
    "files": FILES,
}
ALL = "; ".join(f"printf '\\n{MARK}{name}\\n'; {look}" for name, look in LOOKS.items())
LOOK = f"echo; {{ {ALL}; }} | gzip -9 | base64 | sed 's/^/{PREFIX}/'\necho '{END}'\n"
PLACED = {
    f"{PLACE}/look.sh": f"exec >/dev/ttyS0\n{LOOK}",
    # Read before the guard by the shell that runs it: when it takes the record away, it has decided.
    f"{PLACE}/moves.sh": f"""told() {{
    read -r boot_now </proc/sys/kernel/random/boot_id
    read -r up_now _ </proc/uptime
    printf '\\n%s\\n' "$boot_now $up_now ${{1##*/}}" >>{PLACE}/moves
}}
told start
mv() {{
    command mv "$@" || return
    for moved_to in "$@"; do :; done
    told "$moved_to"
}}
""",
    f"{UNITS}/{RECOVER}.d/exam.conf": "[Service]\nExecStart=\n"
    f"ExecStart=/bin/sh -c '. {PLACE}/moves.sh; . \"$$0\"' /var/lib/bulkhead/guard recover\n",
    f"{UNITS}/exam-look.target": "[Unit]\nRequires=basic.target exam-look.service\n"
    "After=basic.target exam-look.service\n",
    f"{UNITS}/exam-look.service": "[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\n"
    f"ExecStart=/bin/sh {PLACE}/look.sh\n",
}


class PowerHost(LabHost):
    @property
    def folder(self) -> Path:
        return INVENTORY.parent / "hosts" / self.name

    def prepare(self) -> None:
        for path, text in PLACED.items():
            self.ssh(f"mkdir -p {Path(path).parent}; printf %s {shlex.quote(text)} >{path}")
        self.ssh("systemctl daemon-reload; sync")

    def clear(self) -> None:
        self.ssh(f"rm -rf {PLACE} {' '.join(PLACED)}; rmdir {UNITS}/{RECOVER}.d; systemctl daemon-reload")

    def disk_now(self, copy: Path) -> None:
        """``copy`` becomes what is on the disk at this moment, whatever the machine does meanwhile."""
        with Monitor(self.folder / "qmp") as monitor:
            monitor.run("drive-backup", device="virtio0", target=str(copy), sync="top", format="qcow2")
            while monitor.run("query-block-jobs"):
                time.sleep(0.02)

    def machine_from(self, disk: Path) -> list[str]:
        """QEMU's command line for a machine like this one, with that disk and without the others' network."""
        words = (
            Path(f"/proc/{(self.folder / 'pid').read_text().strip()}/cmdline").read_text().split("\0")[:-1]
        )
        changed: dict[str, Callable[[str], str]] = {
            "-name": lambda name: f"{name}-cut",
            "-object": lambda memory: (
                f"memory-backend-ram,id=ram0,size={memory.split('size=')[1].split(',')[0]}"
            ),
            "-serial": lambda _file: f"file:{disk}.console",
            "-append": lambda line: f"{line} systemd.unit=exam-look.target systemd.show_status=0",
            "-drive": lambda _disk: f"file={disk},if=virtio,cache=unsafe",
            "-netdev": lambda net: f"user,id={net.split('id=')[1].split(',')[0]},restrict=on",
            "-qmp": lambda _socket: f"unix:{disk}.qmp,server=on,wait=off",
        }
        line = words[: words.index("-incoming")]
        return [changed.get(before, str)(word) for before, word in zip(["", *line], line, strict=False)]


class Boot:
    """One machine from one disk. ``seconds``: from the power to the end of the look."""

    def __init__(self, argv: list[str], disk: Path) -> None:
        self.argv, self.disk, self.seconds = argv, disk, 0.0

    def look(self, resets: Iterable[float]) -> dict[str, str]:
        """What it told after the last of the ``resets``, each so many seconds after the power came."""
        console, skipped = Path(f"{self.disk}.console"), 0
        with subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            try:
                for wait in resets:
                    time.sleep(wait)
                    with Monitor(Path(f"{self.disk}.qmp")) as monitor:
                        monitor.run("system_reset")
                    time.sleep(1)  # the machine works on for a moment
                    skipped = console.stat().st_size
                began, told = time.monotonic(), ""
                while END not in told:
                    assert time.monotonic() < began + 300, f"no look within 300 s: {told[-300:]}"
                    assert process.poll() is None, f"QEMU ended with {process.returncode}"
                    time.sleep(0.2)
                    if console.exists():
                        told = console.read_bytes()[skipped:].decode(errors="replace")
                self.seconds = time.monotonic() - began
            finally:
                process.kill()
        packed = "".join(re.findall(f"{PREFIX}(\\S+)", told))
        text = gzip.decompress(base64.b64decode(packed)).decode()
        parts = [part.partition("\n") for part in f"\n{text}".split(f"\n{MARK}")[1:]]
        return {name: rest.strip() for name, _newline, rest in parts}


def seconds(shown: str, key: str) -> float:
    """Of a boot, from what ``systemctl show`` printed; 0 where it has not been."""
    return int(dict(line.split("=", 1) for line in shown.splitlines())[key] or 0) / 1e6
