# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gate of one's own: how much memory nginx has asked for on the hosts of a wave. MOST MiB and no more.

Arguments: the folder of hosts that are files, or the inventory of lab hosts. Status 0 passes, 1 aborts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

sys.path.append(str(Path(__file__).resolve().parents[1] / "lab"))
from lab_host import ssh_words  # noqa: E402

MOST = 400
SUM = (
    "for p in $(cat /sys/fs/cgroup$(systemctl show --value -p ControlGroup nginx.service)/cgroup.procs);"
    " do cat /proc/$p/status; done | awk '/^VmData/ {sum += $2} END {print int(sum / 1024)}'"
)


def on_lab(inventory: Path, host: str) -> int:
    variables = yaml.safe_load(inventory.read_text())["lab"]["hosts"][host]
    argv = [*ssh_words(variables), SUM]
    done = subprocess.run(
        argv, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=True
    )
    return int(done.stdout)


def of_file(work: Path, host: str) -> int:
    active = json.loads((work / f"hosts/{host}.json").read_text())["nginx"]["active"]
    version = json.loads((work / f"bundles/{active}.json").read_text())["version"]
    found: int = json.loads((work / "bad.json").read_text()).get(version, {}).get("memory", 40)
    return found


def main() -> None:
    place, hosts = Path(sys.argv[1]), os.environ["BULKHEAD_HOSTS"].split()
    try:
        found = {host: (of_file if place.is_dir() else on_lab)(place, host) for host in hosts}
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as problem:
        print(f"nobody knows: {problem!r}"[:200])
        sys.exit(3)
    most = max(found, key=lambda host: found[host])
    print(f"{most}: {found[most]} MiB")
    sys.exit(int(found[most] > MOST))


if __name__ == "__main__":
    main()
