# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.splitter import parse_kv

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import kinds

ROLE = Path(__file__).parents[5] / "roles" / "rollout"
TABLE: dict[str, dict[str, Any]] = {
    "soak": {"type": "int", "default": 10},
    "alpha": {"type": "float", "default": 0.01},
    "expected": {"type": "float", "default": 0.1},
    "denials": {"type": "bool", "default": False},
    "timezone": {"type": "str", "default": "UTC"},
    "approvers": {"type": "path", "default": ""},
    "by": {"type": "str", "default": ""},
    "rollout": {"type": "str"},
    "rollout_dir": {"type": "path", "required": True},
    "waves": {"type": "list", "elements": "raw", "default": [25, 100]},
    "windows": {"type": "list", "elements": "str", "default": []},
    "gates": {"type": "list", "elements": "raw", "default": []},
    "webhooks": {"type": "list", "elements": "raw", "default": []},
    "mode": {"type": "str", "choices": ["audit", "enforce"]},
    "accept": {"type": "list", "elements": "str", "choices": ["enforced", "partial", "waived"]},
}
GATES = "write a list, such as [{command: [/usr/local/bin/check], within: 20}]."
HOOKS = "write a list, such as ['https://chat.example.org/hooks/name']."


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("soak", "abc", "rollout_soak is 'abc'; write a whole number, such as 10."),
        ("soak", 1.5, "rollout_soak is '1.5'; write a whole number, such as 10."),
        ("soak", float("inf"), "rollout_soak is 'inf'; write a whole number, such as 10."),
        ("soak", True, "rollout_soak is 'True'; write a whole number, such as 10."),
        ("soak", None, "rollout_soak is empty; write a whole number, such as 10."),
        ("soak", [10], "rollout_soak is a list; write a whole number, such as 10."),
        ("alpha", "1%", "rollout_alpha is '1%'; write a number, such as 0.01."),
        ("expected", {}, "rollout_expected_denials is a mapping; write a number, such as 0.1."),
        ("denials", "perhaps", "rollout_denials is 'perhaps'; write true or false."),
        ("timezone", ["UTC"], "rollout_timezone is a list; write a text, such as UTC."),
        ("approvers", {"a": 1}, "rollout_approvers is a mapping; write a path."),
        ("by", ["alice"], "rollout_author is a list; write a text."),
        ("rollout", {"id": 1}, "rollout is a mapping; write a text."),
        ("rollout_dir", None, "rollout_dir is empty; write a path."),
        ("waves", {"one": 25}, "rollout_waves is a mapping; write a list, such as [25, 100]."),
        ("windows", None, "rollout_windows is empty; write a list, such as ['mon-fri 22:00-04:00']."),
        ("gates", "url=http://x?t=S3CRET", f"rollout_gates is a text; {GATES}"),
        ("gates", {"url": "http://x"}, f"rollout_gates is a mapping; {GATES}"),
        ("gates", 5, f"rollout_gates is a number; {GATES}"),
        ("gates", True, f"rollout_gates is true or false; {GATES}"),
        ("webhooks", "http://x/S3CRET", f"rollout_webhooks is a text; {HOOKS}"),
        ("webhooks", {"url": "http://x/S3CRET"}, f"rollout_webhooks is a mapping; {HOOKS}"),
        ("mode", "adit", "rollout_mode is 'adit'; write one of audit, enforce."),
        (
            "accept",
            ["enforced", "refused"],
            "rollout_accept has 'refused'; write some of enforced, partial, waived.",
        ),
        ("accept", "all,any", "rollout_accept has 'all', 'any'; write some of enforced, partial, waived."),
    ],
)
def test_a_value_of_another_kind(option: str, value: object, fault: str) -> None:
    assert kinds.faults({option: value}, TABLE, {"by": "rollout_author"}) == {option: fault}


@pytest.mark.parametrize(
    "given",
    [
        {"soak": "10", "alpha": "0.05", "expected": 1, "denials": "yes", "by": 7},
        {"waves": "25,100", "windows": "mon 22:00-04:00", "accept": "enforced,partial"},
        {"waves": [25, "5 hosts"], "gates": [], "webhooks": [], "approvers": "", "mode": "audit"},
        {"rollout": None, "mode": None, "accept": None},
        {"of another task": object()},
    ],
)
def test_what_has_its_kind(given: dict[str, Any]) -> None:
    assert kinds.faults(given, TABLE) == {}


def test_all_are_told_at_once() -> None:
    assert list(kinds.faults({"soak": "abc", "alpha": 0.1, "mode": "x"}, TABLE)) == ["soak", "mode"]


def test_names_that_nobody_reads() -> None:
    given = ["rollout_soack", "rollout_team", "rollout_soak", "rollout_plan", "policy", "__rollout_opened"]
    assert list(kinds.unknown(given)) == [
        "rollout_soack is no variable of a rollout; write rollout_soak.",
    ]


def test_the_variables_are_those_of_the_role() -> None:
    assert set(yaml.safe_load((ROLE / "defaults/main.yml").read_text())) == kinds.VARIABLES


def test_keys_that_may_be_secret_are_not_told() -> None:
    assert kinds.keys({"url": 1, "https://x/T0K3N": 2, "a b": 3}) == "'url', something that is no name"
    assert kinds.keys({}) == "nothing"


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("fleets", "fleet"),
        ("mod", "mode"),
        ("policies_dir", "policies_dirs"),
        ("aprove_key", "approve_key"),
        ("resaon", "reason"),
        ("catchup", "catch_up"),
        ("Fleet", "fleet"),
        ("approvers", "rollout_approvers"),
        ("rolout_soak", "rollout_soak"),
    ],
)
def test_a_name_of_the_command_line_that_is_nearly_one_of_ours(name: str, near: str) -> None:
    assert list(kinds.misgiven({name: "x"})) == [f"{name} is no variable of a rollout; write {near}."]


def test_what_the_tasks_tell_each_other_is_not_given_by_people() -> None:
    assert list(kinds.misgiven({"rollout_plan": "x", "policy": "nginx"})) == [
        "rollout_plan is what the playbook's own tasks tell each other; leave it out."
    ]


def test_other_names_of_the_command_line_are_the_users_own() -> None:
    others = ["verify_fleet", "denials_dir", "record", "system", "sign_key", "ansible_user", "node", "module"]
    assert list(kinds.misgiven(dict.fromkeys([*kinds.PLAIN, *kinds.VARIABLES, *others]))) == []


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "reason=the shop has a sale",
            "'shop has a sale' belongs to no variable: a value of several words needs quotes inside, as in "
            "-e \"reason='the shop has a sale'\".",
        ),
        (
            "policy=nginx, redis",
            "'redis' belongs to no variable: a list has no blanks, as in -e policy=nginx,redis.",
        ),
        ("reason='the shop has a sale'", ""),
        ("policy=nginx fleet=web", ""),
    ],
)
def test_words_that_belong_to_no_variable(written: str, told: str) -> None:
    assert list(kinds.misgiven(parse_kv(written))) == ([told] if told else [])


def test_the_plain_variables_are_those_that_the_role_reads() -> None:
    texts = [path.read_text() for path in (ROLE / "defaults/main.yml", *(ROLE / "tasks").iterdir())]
    read = {name for text in texts for name in re.findall(r"(?:\{\{|else) ([a-z]\w*) \| default\(", text)}
    assert {name for name in read if not name.startswith(("rollout_", "ansible_"))} == kinds.PLAIN


def test_the_page_of_the_role_names_all_of_them() -> None:
    named = set(re.findall(r"`([a-z_]+)`", (ROLE / "README.md").read_text()))
    assert (kinds.VARIABLES | kinds.PLAIN) - named == set()
