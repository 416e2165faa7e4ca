# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an action plugin meets a host: runs the module there, over the task's connection or over a new one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, cast

from ansible import constants
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ...module_utils import arguments
from ..backends.base import BackendError
from ..policy.faults import PolicyError
from .cache import Cache, CacheError
from .conversation import Conversation, Unreachable
from .errors import HostsError
from .program import pack

CARRIER = "bulkhead.fleet.on_host"
WINDOWS_CONNECTIONS = ("winrm", "psrp")
# The first value of an ssh option wins, so these stand before everything that is configured.
NEW_CONNECTION = "-o ControlMaster=no -o ControlPath=none"
LIMITS = (5, 86400)
SETTINGS = ("confirm_within", "restart", "rollout", "epoch", "lease", "lapse")
# What a task that does not ask for anything else has.
_SANDBOX = cast(dict[str, dict[str, Any]], arguments.SANDBOX)
USUAL: dict[str, Any] = {name: _SANDBOX[name]["default"] for name in ("accept", *SETTINGS)}


def answer(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of ``work``, or a failed result that says what is wrong: never a traceback for a bad policy."""
    try:
        return work()
    except HostsError as problem:
        state = {"state": problem.state} if problem.state else {}
        return {"failed": True, "changed": False, "msg": str(problem), **problem.fields, **state}
    except (PolicyError, BackendError) as problem:
        return {"failed": True, "changed": False, "msg": str(problem), "state": "refused"}
    except CacheError as problem:
        return {
            "failed": True,
            "changed": False,
            "msg": f"the cache cannot be used: {problem}",
            "state": "refused",
        }


class HostAction(ActionBase):  # type: ignore[misc]
    """An action that checks its options and asks the host for ``operation``, and no more than that."""

    _supports_check_mode = True
    _requires_connection = True
    operation = ""
    options: dict[str, Any] = {}

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _checked, options = self.validate_argument_spec(argument_spec=self.options)
        return {**result, **answer(lambda: ask(self, self.operation, options, task_vars or {}))}


def conversation(
    action: Any, options: dict[str, Any], variables: dict[str, Any], today: date
) -> Conversation:
    """A conversation with the task's host. Raises HostsError where this version cannot change such a host."""
    refuse_windows(action)
    options = {**USUAL, **options}
    low, high = LIMITS
    if not low <= options["confirm_within"] <= high:
        raise HostsError(f"confirm_within is {options['confirm_within']}: give {low} to {high} seconds.")
    if options["lease"] and not low <= options["lease"] <= high:
        raise HostsError(f"lease is {options['lease']}: give 0 for none, or {low} to {high} seconds.")
    name = str(variables.get("inventory_hostname", "the host"))

    def call(request: dict[str, Any]) -> dict[str, Any]:
        fields = dict(request)
        return ask(action, fields.pop("op"), fields, variables)

    def fresh(request: dict[str, Any]) -> dict[str, Any]:
        try:
            with new_connection(action._connection):
                return call(request)
        except AnsibleConnectionFailure as problem:
            raise Unreachable(str(problem)) from None

    return Conversation(
        host=name,
        place=place(action, variables),
        call=call,
        fresh=fresh,
        cache=Cache(home()),
        today=today,
        check=bool(action._task.check_mode),
        accept=options["accept"],
        settings={key: options[key] for key in SETTINGS},
    )


def place(action: Any, variables: dict[str, Any]) -> str:
    """What is remembered of a host is remembered by its name and where it is reached."""
    name = str(variables.get("inventory_hostname", "the host"))
    return "\0".join((name, _option(action, "host") or "", str(_option(action, "port") or "")))


def ask(action: Any, operation: str, request: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
    """What the host answers to ``operation`` (``operation_<name>.py`` of module_utils), in one module call.

    Two where the host does not keep the sources any more that it has been called to keep.
    """
    refuse_windows(action)
    cache, key = Cache(home()), hashlib.sha256(place(action, variables).encode()).hexdigest()

    def call(kept: str) -> dict[str, Any]:
        program = {"program": pack(operation, request, cache, kept)}
        result: dict[str, Any] = action._execute_module(CARRIER, program, task_vars=variables)
        return result

    kept = cache.get("kept", key) or ""
    result = call(kept)
    if result.get("state") == "unknown_program":
        result = {"kept": "", **call("")}
    still = result.pop("kept", kept)
    if still != kept:
        cache.put("kept", key, still)
    result.pop("invocation", None)
    return explained(result)


def refuse_windows(action: Any) -> None:
    shell = getattr(action._connection, "_shell", None)
    if action._connection.transport in WINDOWS_CONNECTIONS or getattr(shell, "_IS_WINDOWS", False):
        raise HostsError("applying on windows is not in this version; render it with bulkhead.fleet.render.")


def home() -> Path:
    """Ansible's home of this user, for the cache."""
    return Path(str(constants.config.get_config_value("ANSIBLE_HOME"))).expanduser()


@contextmanager
def new_connection(connection: Any) -> Iterator[None]:
    """Within, nothing of an earlier connection is used: what is run authenticates anew, or fails to."""
    if connection.transport != "ssh":
        connection.reset()
        yield
        return
    before = connection.get_option("ssh_args")
    connection.set_option("ssh_args", f"{NEW_CONNECTION} {before or ''}".strip())
    try:
        yield
    finally:
        # The shared connection stays up for the tasks that follow.
        connection.set_option("ssh_args", before)


def explained(result: dict[str, Any]) -> dict[str, Any]:
    """The same result; where the module gave no answer at all (full disk, broken Python) it says why."""
    if not result.get("failed") or "module_stdout" not in result:
        return result
    said = f"{result.get('module_stderr') or ''}\n{result['module_stdout'] or ''}".strip().splitlines()
    # The last line of what Python prints is the error itself.
    telling = [line.strip() for line in said if "Error" in line] or said
    last = telling[-1][:300] if telling else "it said nothing"
    return result | {
        "msg": f"the host could not run the module: {last}. Look at its memory, its free disk space and its Python."
    }


def _option(action: Any, name: str) -> Any:
    try:
        return action._connection.get_option(name)
    except (KeyError, AttributeError):
        return None
