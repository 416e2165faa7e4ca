# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""resilience.*: time-outs, restarts and the watchdog (systemd.service(5), systemd.unit(5))."""

from __future__ import annotations

from ..policy.model import Clause, Restart, RestartLimit, StartTimeout, StopTimeout, Watchdog
from .base import BackendError
from .systemd_plan import Plan

_RESTART = {"never": "no", "on_failure": "on-failure", "always": "always"}
_UNITS = (
    (7 * 86_400_000_000, "w"),
    (86_400_000_000, "d"),
    (3_600_000_000, "h"),
    (60_000_000, "min"),
    (1_000_000, "s"),
    (1_000, "ms"),
    (1, "us"),
)


def emit(plan: Plan) -> None:
    plan.each(
        StartTimeout,
        lambda clause: _time(plan, clause, "TimeoutStartSec", "TimeoutStartUSec", clause.seconds),
    )
    plan.each(
        StopTimeout, lambda clause: _time(plan, clause, "TimeoutStopSec", "TimeoutStopUSec", clause.seconds)
    )
    plan.each(Restart, lambda clause: _restart(plan, clause))
    plan.each(RestartLimit, lambda clause: _limit(plan, clause))
    plan.each(Watchdog, lambda clause: _watchdog(plan, clause))


def time_span(seconds: float) -> str:
    """A duration as ``systemctl show`` prints it: 90 -> "1min 30s". Up to weeks, which always read alike."""
    rest = round(seconds * 1_000_000)
    parts = []
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0"


def _time(plan: Plan, clause: Clause, key: str, shown: str, seconds: float) -> None:
    plan.text.set(key, time_span(seconds), clause.id)
    plan.property(clause, shown, time_span(seconds))
    plan.enforce(clause, key)


def _restart(plan: Plan, clause: Restart) -> None:
    if clause.when not in _RESTART:
        raise BackendError(f"'{clause.when}' is no restart rule ({clause.id}): write {', '.join(_RESTART)}.")
    value = _RESTART[clause.when]
    if plan.host.type == "oneshot" and value == "always":
        raise BackendError(
            f"A oneshot unit cannot be restarted always ({clause.id}): write on_failure or never."
        )
    plan.text.set("Restart", value, clause.id)
    plan.property(clause, "Restart", value)
    plan.enforce(clause, "Restart")


def _limit(plan: Plan, clause: RestartLimit) -> None:
    plan.text.set("StartLimitBurst", str(clause.count), clause.id, "Unit")
    plan.text.set("StartLimitIntervalSec", time_span(clause.seconds), clause.id, "Unit")
    plan.property(clause, "StartLimitBurst", str(clause.count))
    plan.property(clause, "StartLimitIntervalUSec", time_span(clause.seconds))
    plan.enforce(clause, "StartLimitBurst", "StartLimitIntervalSec")


def _watchdog(plan: Plan, clause: Watchdog) -> None:
    if not plan.host.notifies:
        raise BackendError(
            f"The unit has Type={plan.host.type} and never reports to systemd: a watchdog would kill it ({clause.id}). "
            "Waive the clause on linux, or use health checks."
        )
    _time(plan, clause, "WatchdogSec", "WatchdogUSec", clause.seconds)
