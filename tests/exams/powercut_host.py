# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A QEMU machine that loses its power: the reset button, the boot after it, and one look at what is there then."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

from kill_trials import FILES, STATE
from lab_host import INVENTORY, LAB, LabHost

sys.path.append(str(LAB.parent))
from bulkhead_lab.machine import power_cut  # noqa: E402
from bulkhead_lab.ssh import banner  # noqa: E402

RECOVER = "bulkhead-recover.service"
PLACE, DROPIN = "/opt/bulkhead-exam", f"/etc/systemd/system/{RECOVER}.d/exam.conf"
# Read before the guard by the shell that runs it: when it takes the record away, it has decided.
MOVES = """mv() {
    command mv "$@" || return
    read -r moved _ </proc/uptime
    for moved_to in "$@"; do :; done
    echo "$booted $moved ${moved_to##*/}" >>PLACE/moves
}
""".replace("PLACE", PLACE)
START = f"/bin/sh -c '. {PLACE}/moves.sh; . \"$$0\"' /var/lib/bulkhead/guard recover"
HOOKED = f"[Service]\nExecStart=\nExecStart={START}\n"
MARK = "=== "
LOOKS = {
    "boot": "cat /proc/sys/kernel/random/boot_id",
    "active": f"cat {STATE}/active",
    "records": f"ls {STATE}/pending.json {STATE}/reverting.json 2>/dev/null",
    "recover": "systemctl show -p ExecMainStartTimestampMonotonic,ExecMainExitTimestampMonotonic " + RECOVER,
    "target": "systemctl show -p ActiveEnterTimestampMonotonic basic.target",
    "moves": f"cat {PLACE}/moves 2>/dev/null",
    "receipts": f"cat {STATE}/receipts.jsonl",
    "files": FILES,
}


class PowerHost(LabHost):
    """``boot_seconds``: what the last boot took."""

    boot_seconds = 60.0

    def hook(self) -> None:
        self.ssh(
            f"mkdir -p {PLACE} {Path(DROPIN).parent}; printf %s {shlex.quote(MOVES)} >{PLACE}/moves.sh;"
            f" printf %s {shlex.quote(HOOKED)} >{DROPIN}; systemctl daemon-reload; sync"
        )

    def unhook(self) -> None:
        self.ssh(f"rm -rf {PLACE} {Path(DROPIN).parent}; systemctl daemon-reload")

    def cut(self) -> None:
        power_cut(INVENTORY.parent / "hosts" / self.name)

    def back(self, before: str, limit: float = 400) -> None:
        """Wait until a login works and the boot is another than ``before``."""
        began = time.monotonic()
        while time.monotonic() < began + limit:
            if banner(int(self.variables["ansible_port"]), 20) and self.boot() not in ("", before):
                self.boot_seconds = time.monotonic() - began
                return
            time.sleep(0.2)
        raise AssertionError(f"{self.name} did not come back within {limit:.0f} s")

    def boot(self) -> str:
        argv = [*self.ssh_words(), LOOKS["boot"]]
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
            )
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout.strip()

    def look(self) -> dict[str, str]:
        """All of LOOKS by one login."""
        text = self.ssh("; ".join(f"echo '{MARK}{name}'; {look}" for name, look in LOOKS.items()) + "; true")
        parts = [part.partition("\n") for part in f"\n{text}".split(f"\n{MARK}")[1:]]
        return {name: rest.strip() for name, _newline, rest in parts}


def seconds(shown: str, key: str) -> float:
    """Of a boot, from what ``systemctl show`` printed; 0 where it has not been."""
    return int(dict(line.split("=", 1) for line in shown.splitlines())[key] or 0) / 1e6
