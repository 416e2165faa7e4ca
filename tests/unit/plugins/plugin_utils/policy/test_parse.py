# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes to data: marks, YAML 1.2 words, and every way in which a file can be no policy."""

from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.faults import PolicyFaults
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.parse import MAX_BYTES, parse
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.source import Source


def only_fault(raw: bytes) -> str:
    source = parse("app.yml", raw)
    assert len(source.faults) == 1, [str(fault) for fault in source.faults]
    return str(source.faults[0])


def data_of(text: str) -> object:
    source = parse("app.yml", text.encode())
    assert source.faults == []
    return source.data


def test_every_key_and_value_keeps_its_place() -> None:
    source = parse("app.yml", b"a: 1\nb:\n  - x\n  - {c: y}\n")
    assert source.data == {"a": 1, "b": ["x", {"c": "y"}]}
    assert source.values[("a",)] == (0, 3)
    assert source.values[("b", 1, "c")] == (3, 8)
    assert source.keys[("b", 1, "c")] == (3, 5)


@pytest.mark.parametrize("word", ["3.10", "0644", "1e22", "TRUE", "007", "-0"])
def test_text_of_others_stays_as_it_is_written(word: str) -> None:
    source = parse(
        "app.yml", f"environment: {{set: {{A: {word}}}}}\nhealth: [{{command: [/x, {word}]}}]\n".encode()
    )
    assert source.data == {"environment": {"set": {"A": word}}, "health": [{"command": ["/x", word]}]}
    assert data_of(f"overrides: {{linux: {{systemd: {{Nice: {word}}}}}}}") == {
        "overrides": {"linux": {"systemd": {"Nice": word}}}
    }


@pytest.mark.parametrize("character", ["\u200b", "\ufeff", "\u00ad", "\u202e"])
def test_what_nobody_sees_is_a_fault(character: str) -> None:
    assert f"U+{ord(character):04X}" in only_fault(f"owner: a{character}b\n".encode())


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "12:30:45", "2027-03-31", "0b1", "1_000"])
def test_words_of_yaml_1_1_are_text(word: str) -> None:
    assert data_of(f"{word}: {word}") == {word: word}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ("''", ""),
        ("'7'", "7"),
        ("!!str 7", "7"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    assert data_of(f"a: {text}") == {"a": value}


def test_a_byte_order_mark_is_no_content() -> None:
    assert data_of("\ufeffa: 1") == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"a:\n\tb: 1\n", "app.yml:2:1: a tab stands where YAML wants spaces."),
        (b"a: 1\na: 2\n", "app.yml:2:1: a: the key 'a' is given twice, first on line 1."),
        (b"a: [1\nb: 2\n", "app.yml:2:"),
        (b"a: b: c\n", "app.yml:1:5: not valid YAML: mapping values are not allowed in this context."),
        (b"a: 'x\n", "not valid YAML"),
        (b"a: 1\n---\nb: 2\n", "app.yml:2:1: a second YAML document begins here."),
        (b"a: \xff\n", "app.yml:1:4: byte 0xff is not UTF-8."),
        (b"a: \x00\n", "app.yml:1:4: the character U+0000 is not allowed in YAML."),
        (b"a: \x07\n", "the character U+0007 is not allowed in YAML."),
        (b"? [a]\n: b\n", "app.yml:1:3: a list or a mapping stands where a key is expected."),
        (b"a: &x [*x]\n", "app.yml:1:8: a[0]: the alias '*x' is not part of the policy language."),
        (b"a: !!python/object:os.system {}\n", "is not part of the policy language."),
        (b"[" * 5000, "app.yml:1:17: nested deeper than 16 levels."),
        (b"{a: " * 5000, "nested deeper than 16 levels."),
        (b"a: [" + b"1," * 30000 + b"]", "the file holds more than 20000 values."),
        (b"#" * (MAX_BYTES + 1), "app.yml:1:262145: the file is larger than 256 KiB, which end here."),
        (b'a: "\\ud800"\n', "app.yml:1:"),
        (b'"a\\nb": 1\n', "the key 'a\\nb' holds a line break."),
        (b"%YAML 9.9\n---\na: 1\n", "app.yml:1:1: not valid YAML"),
    ],
)
def test_one_clear_fault(raw: bytes, expected: str) -> None:
    assert expected in only_fault(raw)


def test_an_alias_bomb_is_told_once_for_each_anchor_and_never_unfolded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    found = parse("app.yml", "\n".join(lines).encode()).faults
    told = [
        f"app.yml:{n + 1}:{10 + 2 * (n > 9)}: a{n}[0]: the alias '*a{n - 1}' is not part of the policy language."
        for n in range(1, 12)
    ]
    assert len(found) == 11 and all(text in str(fault) for text, fault in zip(told, found, strict=True))


def test_an_alias_hides_no_other_fault() -> None:
    found = [
        str(fault) for fault in parse("app.yml", b"a: &a {b: c}\n<<: *a\nd: *a\n*a : 1\nx: 1\nx: 2\n").faults
    ]
    assert (
        len(found) == 2 and "app.yml:2:5: <<: the alias '*a'" in found[0] and "'x' is given twice" in found[1]
    )


@pytest.mark.parametrize("unseen", "\u200d\ufe0f\u3164\u115f\u202e\U000e0041\U000e0101")
def test_what_a_reviewer_does_not_see_is_refused(unseen: str) -> None:
    fault = only_fault(f"owner: we{unseen}b\n".encode())
    assert f"holds the control character U+{ord(unseen):04X}" in fault


def test_the_caret_stands_below_the_value_of_a_long_line() -> None:
    text = "a: [" + ", ".join(f"word{n}" for n in range(60)) + "]"
    source = parse("app.yml", text.encode())
    shown, caret = source.fault(("a", 40), "wrong.").excerpt.splitlines()
    assert shown[caret.index("^") :].startswith("word40")
    assert len(shown) < 120


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"a: 1\nb: caf\xe9 au lait\n", "b: caf\ufffd au lait"),  # Latin-1
        ("# one\u2028two\u0085three\na: {b: [}\n".encode(), "a: {b: [}"),  # YAML counts four lines
        (b"a: 1\nb: {c: d, e", "b: {c: d, e"),  # its parser ends on a line that is not there
    ],
)
def test_the_caret_is_shown_also_where_the_file_can_hardly_be_read(raw: bytes, line: str) -> None:
    (fault,) = parse("app.yml", raw).faults
    shown, caret = fault.excerpt.splitlines()
    assert shown.endswith(f" | {line}") and caret.endswith("^")


def test_values_of_the_environment_are_not_shown() -> None:
    fault = only_fault(b'environment: {set: {TOKEN: "geheim\\u0007"}}\n')
    assert "environment.set.TOKEN" in fault
    assert "geheim" not in fault


def test_faults_come_in_the_order_of_the_file() -> None:
    source: Source = parse("app.yml", b"b: 1\na: 1\na: 2\nb: 2\n")
    shown = str(PolicyFaults(reversed(source.faults)))
    assert shown.index("app.yml:3:1") < shown.index("app.yml:4:1")
