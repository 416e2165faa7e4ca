# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that is asked of systemd, few calls at a time: each spawn of systemctl costs, daemon-reload most."""

from __future__ import annotations

import re
import time

from .command import must, run
from .errors import HostError

PROPERTIES = (
    "Id,Type,LoadState,ActiveState,SubState,MainPID,NRestarts,Result,NeedDaemonReload,ControlGroup,Slice,"
    "InvocationID"
)

# A unit that is on its way up counts as running: it was started by somebody and must not be left stopped.
RUNNING = ("active", "activating", "reloading", "refreshing")


def parse_show(text, units):
    """``systemctl show -p A,B unit1 unit2`` -> {unit: {property: value}}; several lines of one are joined."""
    answers = {}
    for unit, block in zip(units, text.split("\n\n")):
        values = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals:
                values[name] = values[name] + " " + value if name in values else value
        answers[unit] = values
    return answers


def show(names, extra=()):
    """{unit: {property: text}} of all ``names`` in one call; ``extra``: properties beyond ``PROPERTIES``."""
    if not names:
        return {}
    asked = ",".join([PROPERTIES] + list(extra))
    done = must(["systemctl", "show", "-p", asked, "--"] + list(names), "reading units")
    # One block per name, in the order asked for; Id would differ for an alias.
    return parse_show(done.stdout.strip(), list(names))


def service(name):
    """systemd's own words about the application."""
    done = run(["systemctl", "show", "-p", "ActiveState,NRestarts,InvocationID,MainPID", "--", name])
    facts = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    restarts = facts.get("NRestarts", "")
    return {
        "unit": name,
        "state": facts.get("ActiveState"),
        "restarts": int(restarts) if restarts.isdigit() else None,
        "invocation": facts.get("InvocationID"),
        "main_pid": int(facts.get("MainPID") or 0) or None,
    }


def running(facts):
    return facts.get("ActiveState") in RUNNING


def known(facts):
    """Whether there is anything to stop: systemd fails where a unit neither runs nor has a file."""
    return facts.get("LoadState") != "not-found" or running(facts)


def reload_manager():
    must(["systemctl", "daemon-reload"], "systemctl daemon-reload", timeout=120)


def start_or_reload(names, timeout=90.0):
    """Bring units of ours up to their files: a running one is reloaded, which never drops its protection."""
    if names:
        must(
            ["systemctl", "reload-or-restart", "--"] + list(names), "starting %s" % ", ".join(names), timeout
        )


def start_anew(names, timeout=180.0):
    """Restart units of ours that run as an older file said; what requires one restarts with it."""
    if names:
        must(["systemctl", "restart", "--"] + list(names), "starting %s" % ", ".join(names), timeout)


def stop(names):
    if names:
        must(["systemctl", "stop", "--"] + list(names), "stopping %s" % ", ".join(names), timeout=120)


def start(names):
    if names:
        must(["systemctl", "start", "--"] + list(names), "starting %s" % ", ".join(names), timeout=120)


def restart(names, timeout=180.0):
    """Restart applications in one transaction (a socket before its service).

    HostError with what systemd itself said about them, never with their own output.
    """
    if not names:
        return
    began = time.time()
    run(["systemctl", "reset-failed", "--"] + list(names))
    done = run(["systemctl", "restart", "--"] + list(names), timeout=timeout)
    if done.returncode != 0:
        failed = [
            name for name, facts in show(names).items() if facts.get("ActiveState") != "active"
        ] or list(names)
        raise HostError("; ".join("%s does not start: %s" % (name, explain(name, began)) for name in failed))


# What systemd logs about every start and stop, and what tells nothing about a failure.
NOISE = re.compile(
    r"(Consumed|Scheduled restart job|Starting|Started|Stopping|Stopped|Deactivated|Start request repeated|"
    r"Will not start|Failed to start|Reloading|Reloaded)\b"
)


def explain(name, since=0.0):
    """The last things that systemd logged about a unit's failures, from ``since`` on (seconds of time.time()).

    Only systemd's own records (field UNIT, which a service cannot set): what an application prints may hold
    secrets, and messages travel far.
    """
    when = ["--since=@%d" % since] if since else ["-b"]
    done = run(["journalctl", "-q", "--no-pager", "-o", "cat", "-n", "40"] + when + ["UNIT=%s" % name])
    lines = [line.strip() for line in done.stdout.splitlines()]
    telling = [line for line in lines if line and not NOISE.match(line.replace(name + ": ", "", 1))]
    hint = "'journalctl -u %s' on the host has the application's own words." % name
    return " | ".join(telling[-4:])[:700] + (" " if telling else "") + hint
