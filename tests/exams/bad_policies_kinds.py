# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seven kinds of bad policies, each with what chance decides: for nginx on lab hosts, and for hosts that are files.

On lab hosts ``edits`` make the shipped policy a bad one. ``world`` is a command that all hosts are given before the
rollout, ``flip`` one while the pilot soaks: what they do is nothing to hosts that deny nothing. On hosts that are files
``behaviour`` says what the version does (see tests/bench/pretend).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# Lab hosts serve a page that lies elsewhere on each distribution, and may lie somewhere else tomorrow.
SUITES = {"bookworm": "/srv/exam-bookworm", "trixie": "/srv/exam-trixie"}
LATE = "/srv/exam-late"
LATE_PAGE = f"{LATE}/index.html"
PAGE = "/var/www/html/index.html"
# What the shipped policy has to grant besides for that, and starts in a row for as many trials.
READS = "read: [$config, $modules, $sites"
GRANTED = {
    f"{READS}]": f"{READS}, {', '.join([*SUITES.values(), LATE])}]",
    "restart_limit: 5/10min": "restart_limit: 500/10min",
}
# An application that dies of a missing file.
CRASH = (
    "cat >/run/exam-crash <<'END'\nfor n in $(seq 60); do sleep %d; pid=$(systemctl show --value -p MainPID nginx);"
    # Between two starts it has no process, and "kill 0" would be this program's end. Its files as it sees them: inside
    # of its sandbox no program runs, and to root an inaccessible file is an empty one.
    f" [ $pid = 0 ] || grep -q ok /proc/$pid/root{LATE_PAGE} || kill -SEGV $pid; done\nEND\n"
    "setsid sh /run/exam-crash >/dev/null 2>&1 & echo $! >/run/exam-crash.pid"
)
GRANTS = "  execute: [$program]\n"
SSHD = """schema: 1
policy: sshd
version: 1.{number}.0
owner: lab
risk: low
summary: Lets nobody in, for the exam of bad policies.
mode: enforce
workload: {{linux: {{unit: ssh.service, executable: /usr/sbin/sshd}}}}
network:
  listen: [tcp/{port}]
health: []
"""


@dataclass(frozen=True)
class Bad:
    """``policy``: whose it is. ``text``: all of it, where it is not nginx's with ``edits``. ``soak``: seconds."""

    kind: str
    what: str
    behaviour: dict[str, Any]
    edits: dict[str, str] = field(default_factory=dict)
    policy: str = "nginx"
    text: str = ""
    world: str = ""
    flip: str = ""
    soak: int = 4


def denial_at_once(draw: random.Random) -> Bad:
    path = draw.choice(["$config/mime.types", "/var/log/nginx/error.log", "$config/sites-available/default"])
    return Bad("denial at once", path, {"fails": True}, deny(path))


def denial_late(draw: random.Random) -> Bad:
    """What it denies is needed only later: denials, and on lab hosts a page that is not there any more."""
    after = draw.randint(3, 6)
    found = {"denies_after": float(after)} if draw.random() < 0.5 else {"sick_after": float(after)}
    return Bad(
        "denial late",
        f"after {after} s",
        found,
        deny(LATE_PAGE),
        flip=f"ln -sfn {LATE_PAGE} {PAGE}",
        soak=20,
    )


def crash_loop(draw: random.Random) -> Bad:
    """It dies every few seconds of what it is denied and is started again: active whenever somebody looks."""
    seconds = draw.randint(2, 4)
    what = {"crashes_after": 1.0}
    return Bad(
        "crash loop",
        f"every {seconds} s",
        what,
        deny(LATE_PAGE),
        world=CRASH % seconds,
        soak=4 * seconds,
    )


def slow_response(draw: random.Random) -> Bad:
    """So few files may be open that a connection waits for another one to end."""
    most = draw.randint(8, 9)
    found = {"sick_after": 0.0, "detail": f"no answer within {draw.randint(1, 3)} s"}
    return Bad("slow response", f"{most} open files", found, {"max_open: 4096": f"max_open: {most}"})


def one_distribution(draw: random.Random) -> Bad:
    suite = draw.choice(sorted(SUITES))
    kind = {"bookworm": "debian12", "trixie": "debian13"}[suite]
    return Bad("one distribution", suite, {"fails": True, "on": [kind]}, deny(f"{SUITES[suite]}/index.html"))


def breaks_sshd(draw: random.Random) -> Bad:
    port = draw.randint(2000, 60000)
    text = SSHD.format(number="{number}", port=port).replace("{number}", str(draw.randint(1, 10**6)))
    return Bad("breaks sshd", f"port {port}", {"cuts_ssh": True}, policy="sshd", text=text)


def eats_memory(draw: random.Random) -> Bad:
    """A setting of the C library with which each of its processes takes more; a gate of one's own looks at that."""
    size = draw.choice([512, 768, 1024])
    edits = {"set: {}": f"set: {{MALLOC_TOP_PAD_: '{size << 20}'}}"}
    return Bad("eats memory", f"{size} MiB", {"memory": size}, edits)


def deny(path: str) -> dict[str, str]:
    """A file and not a folder that is granted: what is granted and denied by the same name is refused when compiled."""
    return {GRANTS: f"{GRANTS}  deny: [{path}]\n"}


KINDS: tuple[Callable[[random.Random], Bad], ...] = (
    denial_at_once,
    denial_late,
    crash_loop,
    slow_response,
    one_distribution,
    breaks_sshd,
    eats_memory,
)


def made(count: int, seed: int) -> list[Bad]:
    """``count`` bad policies, of each kind as many as of any other."""
    draw = random.Random(seed)
    return [KINDS[number % len(KINDS)](draw) for number in range(count)]
