# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of the language, and its findings in words.

The schema carries its own fixes (``x-write``), so that a new key brings its message along. What is at fault
is cut out of the data afterwards; the rest is still resolved, and a reader sees the faults of both stages.
"""

from __future__ import annotations

import copy
import json
import re
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from .faults import PolicyError, did_you_mean, plain, quote
from .source import GONE, Place, Source

# At the head, though it takes long: see ``prepare``.
try:
    from jsonschema import Draft202012Validator
except ImportError:
    Draft202012Validator = None  # type: ignore[assignment,misc]

SCHEMA_FILE = Path(__file__).resolve().parents[3] / "policies" / "schema" / "policy.schema.json"
MAX_FINDINGS = 1000  # nobody reads further, and each costs time
_WORDS = {
    "string": "text", "object": "a mapping", "array": "a list", "integer": "a whole number",
    "number": "a number", "boolean": "true or false", "null": "null",
}  # fmt: skip


_WHOLE_ITEMS = tuple((name,) for name in ("components", "examples", "health", "secrets", "waivers", "widens"))


@cache
def _schema() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(SCHEMA_FILE.read_text(encoding="utf-8"))
    return data


@cache
def _validator(kind: str) -> Any:
    if Draft202012Validator is None:
        raise PolicyError("the Python library 'jsonschema' is not installed on the controller.")
    return Draft202012Validator(_inlined(definition(kind)))


def prepare() -> None:
    """Make what every check needs, before Ansible forks for each host: else each fork makes it anew.

    Importing jsonschema alone takes half of the processor time that a host costs on the controller.
    """
    if Draft202012Validator is not None:
        for kind in ("policy", "baseline"):
            _compile_patterns(_validator(kind).schema)


def _compile_patterns(schema: Any) -> None:
    """``re`` remembers what it has compiled, and jsonschema asks it anew for each value."""
    if isinstance(schema, dict) and isinstance(schema.get("pattern"), str):
        re.compile(schema["pattern"])
    if isinstance(schema, dict | list):
        for item in schema.values() if isinstance(schema, dict) else schema:
            _compile_patterns(item)


def _inlined(schema: Any) -> Any:
    """The schema with every ``$ref`` replaced by what it names: following them takes half of the time of a check."""
    if isinstance(schema, list):
        return [_inlined(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    held = {key: _inlined(value) for key, value in schema.items() if key != "$ref"}
    if "$ref" in schema:
        held = {**_inlined(definition(schema["$ref"].rpartition("/")[2])), **held}
    return held


def definition(name: str) -> dict[str, Any]:
    """One of the schema's ``$defs``, for tests that compare it with the code's tables."""
    found: dict[str, Any] = _schema()["$defs"][name]
    return found


def validate(source: Source, kind: str = "policy") -> Any:
    """Check ``source.data`` against the schema of ``kind`` (policy or baseline).

    Faults go to ``source.faults``. Returns a copy of the data without what is at fault; list items at fault
    become ``GONE``.
    """
    if not isinstance(source.data, dict):
        if not source.faults:
            what = "is empty" if source.data is None else f"holds {_kind_of(source.data)}"
            fix = f"write a mapping that begins with 'schema: 1' and '{kind}: NAME'"
            source.faults.append(source.fault((), f"the file {what}, and no mapping.", fix))
        return {}
    bad = set(source.bad)
    for error in islice(_validator(kind).iter_errors(source.data), MAX_FINDINGS):
        place: Place = tuple(error.absolute_path)
        if any(place[:end] in source.bad for end in range(len(place) + 1)):
            continue
        for where, message, help_text, at_key in _findings(error, place):
            if where not in bad:
                bad.add(where)
                source.faults.append(source.fault(where, message, help_text, key=at_key))
    data = copy.deepcopy(source.data)
    for wrong in sorted(bad, key=len, reverse=True):
        _cut(data, wrong)
    return data


def _findings(error: Any, place: Place) -> list[tuple[Place, str, str, bool]]:
    """(place, message, fix, whether it is the key) of one finding of the validator."""
    rule, limit, value, schema = error.validator, error.validator_value, error.instance, error.schema
    write = str(schema.get("x-write", ""))
    if rule == "additionalProperties" and limit is False:
        known = schema.get("properties", {})
        return [
            ((*place, key), f"unknown key {quote(key)}.", did_you_mean(key, known), True)
            for key in value
            if key not in known
        ]
    if rule == "pattern" and "propertyNames" in error.absolute_schema_path:
        return [((*place, str(value)), f"the name {quote(value)} cannot be used.", write, True)]
    if rule == "required":
        # Cut the mapping that lacks the key, but never the whole document.
        missing = [key for key in limit if key not in value]
        if not place:
            return [((key,), f"'{key}' is missing.", f"add '{key}: ...'", False) for key in missing]
        listed = " and ".join(f"'{key}'" for key in missing)
        return [
            (
                place,
                f"{listed} {'is' if len(missing) == 1 else 'are'} missing.",
                write or _add(missing),
                False,
            )
        ]
    if rule == "oneOf":
        if not isinstance(value, dict):
            return []  # the wrong type is told by its own rule
        forms = [name for form in limit for name in form["required"]]
        given = [f"'{name}'" for name in forms if name in value]
        found = (
            f"{' and '.join(given)} exclude each other" if given else f"none of {', '.join(forms)} is given"
        )
        return [(place, f"{found}.", write, False)]
    if rule in ("enum", "const"):
        allowed = [str(item) for item in (limit if rule == "enum" else [limit])]
        fix = write or did_you_mean(str(plain(value)), allowed)
        return [(place, f"{quote(value)} is not known here.", fix, False)]
    if rule == "type":
        wanted = limit if isinstance(limit, list) else [limit]
        words = " or ".join(_WORDS[name] for name in wanted)
        shown = f"{quote(value)} is {_kind_of(value)}" if _single(value) else f"{_kind_of(value)} stands"
        return [(place, f"{shown} where {words} belongs.", write or f"write {words}", False)]
    if rule in ("maxItems", "maxProperties", "maxLength"):
        return [
            (
                place,
                f"too long: {len(value)} where at most {limit} are allowed.",
                write or "write fewer",
                False,
            )
        ]
    if rule in ("minItems", "minProperties", "minLength"):
        return [
            (place, "there is nothing in it.", write or "write at least one, or leave the key out", False)
        ]
    if rule in ("minimum", "maximum"):
        side = "below" if rule == "minimum" else "above"
        return [(place, f"{quote(value)} is {side} {limit}.", write, False)]
    return [(place, f"{_named(value)} is not in the form that belongs here.", write, False)]


def _add(names: list[str]) -> str:
    return "add " + " and ".join(f"'{name}: ...'" for name in names)


def _single(value: Any) -> bool:
    return value is not None and not isinstance(value, (dict, list))


def _named(value: Any) -> str:
    return quote(value) if _single(value) else _kind_of(value)


def _kind_of(value: Any) -> str:
    kinds = {bool: "true or false", str: "text", dict: "a mapping", list: "a list", type(None): "nothing"}
    return kinds.get(type(value), "a number")


def _cut(data: Any, place: Place) -> None:
    # Without one of their keys these items mean nothing: cut the whole item.
    if place[:1] in _WHOLE_ITEMS:
        end = next((number + 1 for number, step in enumerate(place) if isinstance(step, int)), len(place))
        place = place[:end]
    holder = data
    for step in place[:-1]:
        try:
            holder = holder[step]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(holder, dict) and place:
        holder.pop(place[-1], None)
    elif isinstance(holder, list) and place and isinstance(place[-1], int) and place[-1] < len(holder):
        holder[place[-1]] = GONE
