# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of options and of which kind their values are: the first that is checked, before anybody asks what they mean.

Ansible would tell the first one only, and turns a mapping into a text where a text is wanted.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.common.validation import check_type_bool, check_type_float, check_type_int

Table = Mapping[str, Mapping[str, Any]]

_PREFIX = "rollout_"
# Variables of the role; the names of its own have a "__" before them.
VARIABLES = frozenset(
    _PREFIX + name
    for name in (
        *("policies", "policies_dirs", "mode", "accept", "dir", "fleet", "author", "reason", "catch_up"),
        *("pilot", "waves", "max_failed", "soak", "pause_after", "windows", "timezone", "confirm_within"),
        *("poll", "health_timeout", "health_retries", "breaker", "lease", "lapse", "denials", "alpha"),
        *("expected_denials", "gates", "webhooks", "metrics", "probe_method", "probe_waves"),
        *("approvals", "approvers", "approve_as", "approve_key", "approve_hours"),
    )
)
# Variables of the playbooks, for the command line.
PLAIN = frozenset(
    (
        *("policy", "policies_dirs", "mode", "accept", "fleet", "rollout", "reason"),
        *("catch_up", "approve_as", "approve_key"),
    )
)
# What the playbooks give to their plays.
_OURS = frozenset({"rollout_plan", "rollout_opened", "rollout_back", "rollout_what"})
# Options whose variable is not their name with "rollout_" before it.
_NAMED = {
    "rollout_dir": "rollout_dir",
    "rollout": "rollout",
    "expected": "rollout_expected_denials",
}
# Lists whose parts are addresses, in which a comma may stand and what is secret; a text is none of them.
_ADDRESSES = frozenset({"gates", "webhooks"})
_SHOWN = 60
_WORD = re.compile(r"[A-Za-z_]{1,20}")
# As near as two letters that changed places in a word of six. Less would refuse words such as "module".
_NEAR = 0.83
# Where Ansible keeps the words of the command line that have no "=".
_LEFT_OVER = "_raw_params"
_QUOTED = """a value of several words needs quotes inside, as in -e "reason='the shop has a sale'\""""
_UNBROKEN = "a list has no blanks, as in -e policy=nginx,redis"


@dataclass(frozen=True)
class Kind:
    """``wanted``: what to write. ``never``: what Ansible takes for one. ``convert`` raises where it is none."""

    wanted: str
    never: tuple[type, ...] = ()
    convert: Callable[[Any], Any] = str


_CONTAINERS = (list, tuple, Mapping)
KINDS = {
    "int": Kind("a whole number", (bool, *_CONTAINERS), check_type_int),
    "float": Kind("a number", (bool, *_CONTAINERS), check_type_float),
    "bool": Kind("true or false", _CONTAINERS, check_type_bool),
    "str": Kind("a text", _CONTAINERS),
    "path": Kind("a path", _CONTAINERS),
    "list": Kind("a list", (Mapping,)),
    "dict": Kind("a mapping", (str, int, float, list, tuple)),
}
WRITTEN = {
    "policies": "[nginx]",
    "policies_dirs": "[/srv/policies]",
    "waves": "[25, 100]",
    "pause_after": "[canary]",
    "probe_waves": "[pilot, canary]",
    "windows": "['mon-fri 22:00-04:00']",
    "accept": "[enforced, waived]",
    "gates": "[{command: [/usr/local/bin/check], within: 20}]",
    "webhooks": "['https://chat.example.org/hooks/name']",
}


def faults(given: Mapping[str, Any], table: Table, named: Mapping[str, str] | None = None) -> dict[str, str]:
    """By option a sentence where the value is of another kind than ``table`` says, or none of its choices.

    ``named``: option -> the variable that gives it, where that is not the option's name with "rollout_" before it.
    """
    variables = {name: _PREFIX + name for name in table} | _NAMED | dict(named or {})
    told = {
        name: _fault(name, variables[name], value, table[name])
        for name, value in given.items()
        if name in table
    }
    return {name: text for name, text in told.items() if text}


def unknown(variables: Iterable[str]) -> Iterator[str]:
    """One sentence for each variable that is nearly one of the role's: it was meant as one, and nobody would read it.

    Others that begin with "rollout_" are the user's own.
    """
    likely = [name.removeprefix(_PREFIX) for name in sorted(VARIABLES)]
    for name in sorted({name for name in variables if name.startswith(_PREFIX)} - VARIABLES - _OURS):
        for near in difflib.get_close_matches(name.removeprefix(_PREFIX), likely, 1):
            yield f"{name} is no variable of a rollout; write {_PREFIX}{near}."


def keys(value: Mapping[Any, Any]) -> str:
    """Its keys, for people. With a colon too many an address is one, and that may be secret."""
    told = [f"'{key}'" if _WORD.fullmatch(str(key)) else "something that is no name" for key in value]
    return ", ".join(dict.fromkeys(told)) or "nothing"


def misgiven(extra: Mapping[str, object]) -> Iterator[str]:
    """One sentence for each of the command line's variables that has not the value, or not the name, that was meant.

    A value of several words loses all but the first where only the shell saw its quotes. Of names without "rollout_"
    those of an inventory are the user's own; one that is given here is refused where it nearly is one of ours.
    """
    if words := str(extra.get(_LEFT_OVER) or ""):
        listed = any(str(value).endswith(",") for value in extra.values())
        yield f"'{words[:_SHOWN]}' belongs to no variable: {_UNBROKEN if listed else _QUOTED}."
    for name in sorted(_OURS & extra.keys()):
        yield f"{name} is what the playbook's own tasks tell each other; leave it out."
    ours = sorted(PLAIN | VARIABLES)
    for name in sorted(name for name in extra if not name.startswith(_PREFIX) and name not in PLAIN):
        whole = _PREFIX + name
        for near in difflib.get_close_matches(name.lower(), ours, 1, _NEAR):
            yield f"{name} is no variable of a rollout; write {whole if whole in VARIABLES else near}."


def found(value: object) -> str:
    """What it is, in a word."""
    words = ((Mapping, "a mapping"), ((list, tuple), "a list"), (str, "a text"), (bool, "true or false"))
    return next((word for kinds, word in words if isinstance(value, kinds)), "a number")


def _fault(name: str, variable: str, value: Any, spec: Mapping[str, Any]) -> str:
    kind = KINDS[spec.get("type", "str")]
    if value is None:
        empty = spec.get("default") is None and not spec.get("required")
        return "" if empty else f"{variable} is empty; write {_wanted(name, kind, spec)}."
    if not _is(name, value, kind):
        quoted = not isinstance(value, _CONTAINERS) and name not in _ADDRESSES
        what = f"'{str(value)[:_SHOWN]}'" if quoted else found(value)
        return f"{variable} is {what}; write {_wanted(name, kind, spec)}."
    return _choice_fault(variable, value, spec) if spec.get("choices") else ""


def _is(name: str, value: Any, kind: Kind) -> bool:
    if isinstance(value, kind.never) or (name in _ADDRESSES and not isinstance(value, (list, tuple))):
        return False
    try:
        kind.convert(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True


def _wanted(name: str, kind: Kind, spec: Mapping[str, Any]) -> str:
    default = spec.get("default")
    # Of numbers and texts the default is the example.
    example = WRITTEN.get(name) or (str(default) if default and not isinstance(default, (bool, list)) else "")
    return f"{kind.wanted}, such as {example}" if example else kind.wanted


def _choice_fault(variable: str, value: Any, spec: Mapping[str, Any]) -> str:
    several = spec.get("type") == "list"
    values = value if isinstance(value, (list, tuple)) else str(value).split(",") if several else [value]
    if wrong := [str(one) for one in values if one not in spec["choices"]]:
        shown = ", ".join(f"'{one[:_SHOWN]}'" for one in wrong)
        wanted = f"write {'some' if several else 'one'} of {', '.join(spec['choices'])}"
        return f"{variable} {'has' if several else 'is'} {shown}; {wanted}."
    return ""
