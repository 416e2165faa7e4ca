# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The policy's own health checks, tried again and again until they pass or their time is up."""

from __future__ import annotations

import time

from . import units
from .errors import HostError

PAUSE = 0.2
SETTLE = 1.0


def check_all(checks):
    """Run every check; HostError names each that failed and why."""
    faults = [fault for fault in (_retry(check) for check in checks) if fault]
    if faults:
        raise HostError("; ".join(faults) + ".")


def settled(name, before, began, extra=()):
    """The unit is still the process that was started: active, no restart, same main PID.

    ``before``: its properties right after the start; ``began``: time.monotonic() then. A unit in a crash loop
    is active whenever it is looked at, so looking once proves nothing. Returns its properties now, ``extra`` ones too.
    """
    time.sleep(max(0.0, began + SETTLE - time.monotonic()))
    after = units.show([name], extra)[name]
    same = all(after.get(key) == before.get(key) for key in ("NRestarts", "MainPID"))
    if after.get("ActiveState") != "active" or not same:
        raise HostError(
            "%s did not stay up: %s" % (name, units.explain(name, time.time() - time.monotonic() + began))
        )
    return after


def _retry(check):
    deadline = time.monotonic() + float(check.get("within") or 5.0)
    while True:
        left = deadline - time.monotonic()
        fault = _try(check, max(0.1, left))
        if not fault or left <= PAUSE:
            return fault and "health check %s failed: %s" % (check["id"], fault)
        time.sleep(PAUSE)


def _try(check, timeout):
    try:
        if check.get("http"):
            return _http(check["http"], int(check.get("status") or 200), timeout)
        if check.get("tcp"):
            return _tcp(check["tcp"], timeout)
        return _command(check["command"], timeout)
    except (OSError, ValueError) as problem:
        what = check.get("http") or check.get("tcp") or check["command"][0]
        return "%s: %s" % (what, getattr(problem, "strerror", None) or problem)


def _http(url, status, timeout):
    """No proxy and no redirect: the status is that of the application itself."""
    import http.client
    import ssl
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme == "https":
        # The certificate names the site, and the check goes to an address of this host.
        context = ssl._create_unverified_context()
        link = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
    else:
        link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        link.request("GET", (parts.path or "/") + ("?" + parts.query if parts.query else ""))
        got = link.getresponse().status
    except http.client.HTTPException as problem:
        return "%s: %s" % (url, type(problem).__name__)
    finally:
        link.close()
    return "" if got == status else "%s answered %d, not %d" % (url, got, status)


def _tcp(address, timeout):
    import socket

    host, _separator, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), timeout=timeout).close()
    return ""


def _command(argv, timeout):
    from .command import run

    done = run(list(argv), timeout=timeout)
    return "" if done.returncode == 0 else "%s ended with exit status %d" % (argv[0], done.returncode)
