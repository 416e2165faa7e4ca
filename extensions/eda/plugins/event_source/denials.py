# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event source of ansible-rulebook: what the hosts of a policy deny, an event for each kind on each host.

It runs the playbook ``bulkhead.fleet.denials`` again and again and gives on what that appends to its file, so that
nothing is lost while the rulebook is down: the hosts' cursors are kept, and the next run reads from there.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

DOCUMENTATION = r"""
short_description: Denials of the hosts of a policy
description:
  - An event for each kind of denial on each host, with the clause behind it and the change that would allow it.
  - Needs ansible-playbook beside ansible-rulebook, and this collection where it finds it.
options:
  policy:
    description: Name of the policy, or the path of its file.
    type: str
    required: true
  inventory:
    description: Inventory of the hosts.
    type: str
    required: true
  denials_dir:
    description: Folder for events and cursors; it must outlive the rulebook.
    type: str
    required: true
  fleet:
    description: Pattern of hosts.
    type: str
    default: all
  interval:
    description: Seconds between two looks.
    type: int
    default: 60
  extra_vars:
    description: Variables of the playbook, such as policies_dirs.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Denials of nginx
  bulkhead.fleet.denials:
    policy: nginx
    inventory: /etc/ansible/hosts
    denials_dir: /var/lib/bulkhead-denials
"""

NEEDED = ("policy", "inventory", "denials_dir")


async def main(queue: asyncio.Queue[dict[str, Any]], args: dict[str, Any]) -> None:
    """Runs until it is cancelled."""
    missing = [name for name in NEEDED if not args.get(name)]
    if missing:
        raise ValueError(f"the source bulkhead.fleet.denials needs {', '.join(missing)}")
    path = Path(args["denials_dir"]) / f"{Path(args['policy']).stem}.jsonl"
    place = path.stat().st_size if path.exists() else 0
    while True:
        trouble = await look(args)
        if trouble:
            await queue.put({"denials": {"policy": args["policy"], "trouble": trouble}})
        place, events = news(path, place)
        for event in events:
            await queue.put({"denial": event})
        await asyncio.sleep(float(args.get("interval", 60)))


async def look(args: dict[str, Any]) -> str:
    """Run the playbook once; what went wrong."""
    program = shutil.which("ansible-playbook")
    if program is None:
        return "ansible-playbook is not installed here."
    given = dict(args.get("extra_vars") or {})
    given |= {"policy": args["policy"], "denials_dir": args["denials_dir"], "fleet": args.get("fleet", "all")}
    process = await asyncio.create_subprocess_exec(
        *(program, "bulkhead.fleet.denials", "-i", str(args["inventory"]), "-e", json.dumps(given)),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said, _none = await process.communicate()
    except asyncio.CancelledError:
        process.terminate()
        raise
    tail = said.decode("utf-8", "replace").strip().splitlines()[-3:]
    return (
        "" if process.returncode == 0 else f"the playbook ended with {process.returncode}: {' '.join(tail)}"
    )


def news(path: Path, place: int) -> tuple[int, list[dict[str, Any]]]:
    """(where the next reading begins, events of whole lines since ``place``). A shorter file begins anew."""
    if not path.exists():
        return 0, []
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(place if place <= size else 0)
        content = stream.read()
        start = stream.tell() - len(content)
    whole, _newline, _rest = content.rpartition(b"\n")
    events = [json.loads(line) for line in whole.splitlines() if line.strip()]
    return start + (len(whole) + 1 if _newline else 0), events
