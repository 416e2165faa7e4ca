# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults that a plan does not hold and that would be found after the pilot has changed, or never."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ...module_utils import arguments
from ..hosts.host import LIMITS
from .options import Options, wave_faults


def settings(given: Mapping[str, Any], options: Options) -> Iterator[str]:
    """Of what the waves are run with. ``given``: confirm_within, probe_method, probe_waves."""
    low, high = LIMITS
    if not low <= given["confirm_within"] <= high:
        yield f"rollout_confirm_within is '{given['confirm_within']}'; write {low} to {high} seconds."
    if options.lease > 0 and not low <= options.lease <= high:
        yield f"rollout_lease is '{options.lease}'; write 0 for none, or {low} to {high} seconds."
    methods = cast("dict[str, list[str]]", arguments.PROBE["method"])["choices"]
    if given["probe_method"] not in methods:
        yield f"rollout_probe_method is '{given['probe_method']}'; write one of {', '.join(methods)}."
    yield from wave_faults("rollout_probe_waves", given["probe_waves"], options)


def hosts(listed: Mapping[str, object]) -> Iterator[str]:
    """Of the hosts' variable bulkhead_policies, by host: of a text each part would be taken for a policy."""
    for name, value in listed.items():
        if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
            yield f"Host '{name}' has bulkhead_policies '{value}'; write a list of names, such as [nginx]."
