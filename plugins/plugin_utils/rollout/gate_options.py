# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gate of one's own may say. It is checked when a rollout is planned: at its gate the pilot has changed."""

from __future__ import annotations

import math
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import kinds

# (all keys, keys that are needed)
GATES: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "command": (frozenset({"command", "within", "retries"}), frozenset()),
    "url": (frozenset({"url", "status", "within", "retries", "token_file"}), frozenset()),
    "prometheus": (
        frozenset({"prometheus", "query", "below", "above", "within", "retries", "token_file"}),
        frozenset({"query"}),
    ),
}
_LONGEST = 86400


def _number(value: Any) -> float:
    """NaN for what is none; for Python a bool is one."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan


def _whole(value: Any) -> float:
    return _number(value) if re.fullmatch(r"\d{1,9}", str(value)) else math.nan


_VALUES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "within": (lambda value: 0 < _number(value) <= _LONGEST, f"seconds, above 0 and at most {_LONGEST}"),
    "retries": (lambda value: _whole(value) >= 0, "a whole number, 0 or more"),
    "status": (lambda value: 100 <= _whole(value) <= 599, "a status of HTTP, such as 200"),
    "below": (lambda value: math.isfinite(_number(value)), "a number, such as 0.02"),
    "above": (lambda value: math.isfinite(_number(value)), "a number, such as 0.98"),
    "query": (lambda value: isinstance(value, str) and bool(value.strip()), "an expression of Prometheus"),
    "token_file": (lambda value: isinstance(value, str) and bool(value.strip()), "the path of a file"),
}


def faults(gate: object) -> Iterator[str]:
    """One sentence for each fault of a gate, with what to write instead. Words of commands and addresses may be secret:
    they are not quoted."""
    named = [kind for kind in GATES if isinstance(gate, Mapping) and kind in gate]
    if not isinstance(gate, Mapping) or len(named) != 1:
        yield f"rollout_gates has {_what(gate)}; write a mapping with one of {', '.join(GATES)}."
        return
    kind = named[0]
    allowed, needed = GATES[kind]
    for key in sorted(set(gate) - allowed):
        yield f"rollout_gates has '{key}' for {kind}; write one of {', '.join(sorted(allowed))}."
    for key in sorted(needed - set(gate)):
        yield f"rollout_gates has no '{key}' for {kind}."
    if kind == "prometheus" and ("below" in gate) == ("above" in gate):
        yield "rollout_gates needs 'below' or 'above' for prometheus, one of the two."
    for key, (good, wanted) in _VALUES.items():
        if key in allowed and key in gate and not good(gate[key]):
            yield f"rollout_gates has '{key}: {_shown(gate[key])}' for {kind}; write {wanted}."
    yield from (_command_faults if kind == "command" else _address_faults)(gate[kind])


def _what(gate: object) -> str:
    if not isinstance(gate, Mapping):
        return kinds.found(gate)
    return f"a gate with {kinds.keys(gate)}"


def _command_faults(value: object) -> Iterator[str]:
    if not (isinstance(value, list) and value and all(str(word) for word in value)):
        of_words = "has an empty word" if isinstance(value, list) else f"is {kinds.found(value)}"
        what = of_words if value else "is empty"
        yield f"rollout_gates has a command that {what}; write a list, such as [/usr/local/bin/check, --all]."


def _address_faults(value: object) -> Iterator[str]:
    if not str(value).startswith(("http://", "https://")):
        yield (
            "rollout_gates has an address that does not begin with http:// or https://; "
            "write one like https://shop.example.org:8443/health."
        )
        return
    if not usable(str(value)):
        yield (
            "rollout_gates has an address without a usable host or port, or with blanks; "
            "write one like https://shop.example.org:8443/health."
        )


def usable(address: str) -> bool:
    """Whether somebody can be asked there: a host, a port if one is named, no blanks."""
    try:
        parts = urllib.parse.urlsplit(address)
        return bool(parts.hostname) and parts.port != 0 and re.fullmatch(r"[!-~]+", address) is not None
    except ValueError:
        return False


def _shown(value: object) -> str:
    return "" if value is None else str(value)
