# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a unit does when its program dies, falls silent, or hangs: three units at a time, each for its own clauses.

Prints {act: [through, said]}: through is True where the service manager did not do what the clause says. Usage:
life.py SECONDS, how long a limit of the policies may take at most on this host.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

WAIT = float(sys.argv[1])
PLACES = {"exam-user": "/srv/exam/data", "exam-root": "/srv/exam/root", "exam-alone": "/srv/exam/alone"}
said = {}


def systemctl(*words):
    return subprocess.run(["systemctl", *words], capture_output=True, text=True).stdout.strip()


def shown(unit):
    words = systemctl("show", "-p", "ActiveState,MainPID,Result", unit + ".service").splitlines()
    return dict(line.split("=", 1) for line in words)


def until(unit, good, seconds):
    """The facts of the unit once they are good, or the last ones, and whether they were good."""
    end = time.monotonic() + seconds
    while True:
        facts = shown(unit)
        if good(facts) or time.monotonic() > end:
            return facts, good(facts)
        time.sleep(0.5)


def flag(unit, name, there):
    path = os.path.join(PLACES[unit], name)
    if there:
        open(path, "w").close()
    elif os.path.exists(path):
        os.unlink(path)


def alive(facts, but=""):
    return facts["ActiveState"] == "active" and facts["MainPID"] not in ("0", but)


def killed_once(unit):
    """Kill the main process; whether another one came."""
    before = shown(unit)["MainPID"]
    if before == "0":
        return False
    os.kill(int(before), signal.SIGKILL)
    return until(unit, lambda facts: alive(facts, before) or facts["ActiveState"] == "failed", WAIT)[0][
        "MainPID"
    ] not in ("0", before)


def silent(unit="exam-user"):
    before = shown(unit)["MainPID"]
    flag(unit, "hang-pings", True)
    facts, gone = until(unit, lambda facts: facts["MainPID"] != before, WAIT)
    flag(unit, "hang-pings", False)
    said["silent"] = [not gone, facts["ActiveState"]]
    until(unit, lambda facts: alive(facts) or facts["ActiveState"] == "failed", WAIT)
    systemctl("reset-failed", unit + ".service")
    systemctl("restart", unit + ".service")
    back = killed_once(unit)
    said["stay_dead"] = [not back, "started again" if back else "stayed dead"]
    systemctl("reset-failed", unit + ".service")
    systemctl("restart", unit + ".service")
    count = 0
    while count < 7 and killed_once(unit):
        count += 1
    said["start_forever"] = [count == 7, "started again %d times" % count]


def never_ready(unit="exam-root"):
    flag(unit, "hang-start", True)
    systemctl("restart", "--no-block", unit + ".service")
    until(unit, lambda facts: facts["ActiveState"] == "activating", WAIT)
    facts, ended = until(unit, lambda facts: facts["ActiveState"] in ("failed", "inactive"), WAIT)
    said["never_ready"] = [not ended, facts["ActiveState"]]
    flag(unit, "hang-start", False)


def never_stops(unit="exam-alone"):
    flag(unit, "hang-stop", True)
    systemctl("restart", unit + ".service")
    systemctl("stop", "--no-block", unit + ".service")
    until(unit, lambda facts: facts["ActiveState"] == "deactivating", WAIT)
    facts, ended = until(unit, lambda facts: facts["ActiveState"] in ("failed", "inactive"), WAIT)
    said["never_stops"] = [not ended, facts["ActiveState"]]
    flag(unit, "hang-stop", False)


def main():
    threads = [threading.Thread(target=work) for work in (silent, never_ready, never_stops)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for unit in PLACES:
        systemctl("kill", "-s", "KILL", unit + ".service")
        systemctl("reset-failed", unit + ".service")
        systemctl("start", unit + ".service")
    print(json.dumps(said))


main()
