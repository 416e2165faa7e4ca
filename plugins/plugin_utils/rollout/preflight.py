# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that a plan does not hold and that would be found after the pilot has changed, or never."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from ...module_utils import arguments
from ..hosts.host import LIMITS
from .gate_options import usable
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
_ADDRESS = "an address, such as 'https://chat.example.org/hooks/name'"


def settings(given: Mapping[str, Any], options: Options | None) -> Iterator[str]:
    """Of what the waves are run with. ``given``: see WAVES. ``options``: of the plan; None where there is none."""
    low, high = LIMITS
    if not low <= given["confirm_within"] <= high:
        yield f"rollout_confirm_within is '{given['confirm_within']}'; write {low} to {high} seconds."
    methods = cast("dict[str, list[str]]", arguments.PROBE["method"])["choices"]
    if given["probe_method"] not in methods:
        yield f"rollout_probe_method is '{given['probe_method']}'; write one of {', '.join(methods)}."
    if options is not None:
        if options.lease > 0 and not low <= options.lease <= high:
            yield f"rollout_lease is '{options.lease}'; write 0 for none, or {low} to {high} seconds."
        yield from wave_faults("rollout_probe_waves", given["probe_waves"], options)


def webhooks(addresses: Iterable[object]) -> Iterator[str]:
    """Of rollout_webhooks, by their place: nothing of an address is told, it may be secret."""
    for place, address in enumerate(addresses):
        if isinstance(address, Mapping):
            keys = ", ".join(f"'{key}'" for key in address) or "nothing"
            wrong = f"is a mapping (with {keys}), and a webhook has no options; write its address only"
            yield f"rollout_webhooks[{place}] {wrong}: {_ADDRESS}."
        elif not isinstance(address, str):
            yield f"rollout_webhooks[{place}] is no text; write {_ADDRESS}."
        elif not address.startswith(("http://", "https://")):
            yield f"rollout_webhooks[{place}] does not begin with http:// or https://; write {_ADDRESS}."
        elif not usable(address):
            yield f"rollout_webhooks[{place}] has no usable host or port, or has blanks; write {_ADDRESS}."


def hosts(listed: Mapping[str, object]) -> Iterator[str]:
    """Of the hosts' variable bulkhead_policies, by host: of a text each part would be taken for a policy."""
    for name, value in listed.items():
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            yield f"Host '{name}' has bulkhead_policies '{value}'; write a list of names, such as [nginx]."
