# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout has one of each setting, and all its hosts have it: one of a group or of a host alone would be read by some
of the tasks, and be none of the plan's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleError

from . import kinds
from .review import named

# Only the host's own tasks read these: it may have one of its own.
_OWN = frozenset({"rollout_accept", "rollout_confirm_within", "rollout_probe_method"})
SETTINGS = (kinds.VARIABLES | {"policy", "policies_dirs", "mode"}) - _OWN


def faults(fleet: Iterable[str], hostvars: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """One sentence for each setting that hosts have otherwise than localhost; no value is told, it may be secret."""
    ours = _settings(hostvars.get("localhost", {}))
    found: dict[str, list[str]] = {}
    for name in fleet:
        own = _settings(hostvars[name])
        for setting in own.keys() | ours.keys():
            if own.get(setting) != ours.get(setting):
                found.setdefault(setting, []).append(name)
    for setting, names in sorted(found.items()):
        yield (
            f"{setting} is another one on {named(names)} than on localhost, and a rollout has one: "
            "set it for all, with -e or in group_vars/all."
        )


def value(variables: Mapping[str, Any], name: str) -> Any:
    """Of one host, None where it has none; what cannot be worked out is an Unknown, equal to nothing."""
    try:
        return variables.get(name)
    except AnsibleError as problem:
        return Unknown(str(problem))


class Unknown:
    def __init__(self, why: str) -> None:
        self.why = why

    def __str__(self) -> str:
        return self.why


def _settings(variables: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value(variables, name) for name in SETTINGS if name in variables}
