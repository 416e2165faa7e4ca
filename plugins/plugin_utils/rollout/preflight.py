# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that a plan does not hold and that would be found after the pilot has changed, or never."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from ...module_utils import arguments
from ..hosts.host import LIMITS
from . import kinds
from .gate_options import GATES, usable
from .options import Options, wave_faults

_SANDBOX = cast("dict[str, dict[str, Any]]", arguments.SANDBOX)
# Tasks that begin a playbook are given these, to be checked before a wave begins or anybody is told.
WAVES: dict[str, dict[str, Any]] = {
    "accept": _SANDBOX["accept"],
    "confirm_within": {"type": "int", "default": _SANDBOX["confirm_within"]["default"]},
    "probe_method": {"type": "str", "default": "auto"},
    "probe_waves": {"type": "list", "elements": "str", "default": []},
}
TOLD: dict[str, dict[str, Any]] = {
    # Addresses often hold a secret.
    "webhooks": {"type": "list", "elements": "raw", "default": [], "no_log": True},
    "metrics": {"type": "path", "default": ""},
}
# The same of what takes hosts back.
BACK = {**TOLD, "confirm_within": WAVES["confirm_within"]}
_ADDRESS = "an address, such as 'https://chat.example.org/hooks/name'"


def settings(given: Mapping[str, Any], options: Options | None) -> Iterator[str]:
    """Of what the waves are run with. ``given``: see WAVES. ``options``: of the plan; None where there is none."""
    yield from confirmation(given["confirm_within"])
    low, high = LIMITS
    methods = cast("dict[str, list[str]]", arguments.PROBE["method"])["choices"]
    if given["probe_method"] not in methods:
        yield f"rollout_probe_method is '{given['probe_method']}'; write one of {', '.join(methods)}."
    if options is not None:
        if options.lease > 0 and not low <= options.lease <= high:
            yield f"rollout_lease is '{options.lease}'; write 0 for none, or {low} to {high} seconds."
        yield from wave_faults("rollout_probe_waves", given["probe_waves"], options)


def confirmation(seconds: int) -> Iterator[str]:
    """Of rollout_confirm_within: every host would refuse it, after the journal has said that it is to go there."""
    low, high = LIMITS
    if not low <= seconds <= high:
        yield f"rollout_confirm_within is '{seconds}'; write {low} to {high} seconds."


def webhooks(addresses: Iterable[object]) -> Iterator[str]:
    """Of rollout_webhooks, by their place: nothing of an address is told, it may be secret."""
    for place, address in enumerate(addresses):
        if isinstance(address, Mapping):
            wrong = f"is a mapping (with {kinds.keys(address)}), and a webhook has no options; write its address only"
            yield f"rollout_webhooks[{place}] {wrong}: {_ADDRESS}."
        elif not isinstance(address, str):
            yield f"rollout_webhooks[{place}] is no text; write {_ADDRESS}."
        elif not address.startswith(("http://", "https://")):
            yield f"rollout_webhooks[{place}] does not begin with http:// or https://; write {_ADDRESS}."
        elif not usable(address):
            yield f"rollout_webhooks[{place}] has no usable host or port, or has blanks; write {_ADDRESS}."


def files(gates: Iterable[object]) -> Iterator[str]:
    """Of files on the controller that gates need, by gate and path."""
    for place, gate in enumerate(gates):
        kind = next((kind for kind in GATES if isinstance(gate, Mapping) and kind in gate), "")
        if not isinstance(gate, Mapping) or not kind:
            continue  # told with what else is wrong with the gate
        for key, fault in _FILES.items():
            if key in gate and key in GATES[kind][0] and (text := fault(gate[key])):
                yield f"rollout_gates[{place}] ({kind}): {text}."


def hosts(listed: Mapping[str, object]) -> Iterator[str]:
    """Of the hosts' variable bulkhead_policies, by host: of a text each part would be taken for a policy."""
    for name, value in listed.items():
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            yield f"Host '{name}' has bulkhead_policies '{value}'; write a list of names, such as [nginx]."


def _token_fault(value: object) -> str:
    """Nothing of what is in the file is told."""
    if not isinstance(value, str) or not value.strip():
        return ""
    path, what = Path(value), f"its token_file '{value}'"
    try:
        seen = path.stat()
        if not stat.S_ISREG(seen.st_mode):
            return f"{what} is no file; write the path of a file that holds the token and nothing else"
        token = path.read_text("utf-8").strip()
    except OSError as error:
        return f"{what} cannot be read ({error.strerror}); write the path of a file that this user can read"
    except ValueError:
        token = ""
    if seen.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return (
            f"{what} is open to all users (mode {stat.S_IMODE(seen.st_mode):04o}); run chmod 0600 '{value}'"
        )
    # What else is in a header ends it, or the request.
    if not re.fullmatch(r"[!-~]+", token):
        return f"{what} holds no token; write the token into it, in one line and without blanks"
    return ""


def _program_fault(value: object) -> str:
    if not isinstance(value, list) or not value or not isinstance(value[0], str) or not value[0]:
        return ""
    program = value[0]
    if shutil.which(program):
        return ""
    if os.sep in program and Path(program).is_file():
        return f"its program '{program}' cannot be executed; run chmod +x '{program}'"
    return f"its program '{program}' is not there; write the path of a program of the controller"


_FILES: dict[str, Callable[[object], str]] = {"token_file": _token_fault, "command": _program_fault}
