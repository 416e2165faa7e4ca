# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import host
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.host import explained
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.program import name

TORN = {
    "failed": True,
    "msg": "Module result deserialization failed: No start of json char found",
    "module_stdout": "",
    "module_stderr": (
        "Traceback (most recent call last):\n  File x\nOSError: [Errno 28] No space left on device\nclosed.\n"
    ),
}


def test_a_module_that_gave_no_answer_is_told_by_its_last_error() -> None:
    assert explained(TORN)["msg"] == (
        "the host could not run the module: OSError: [Errno 28] No space left on device. "
        "Look at its memory, its free disk space and its Python."
    )
    assert "it said nothing" in explained(TORN | {"module_stderr": None})["msg"]


def test_an_answer_stays_as_it_is() -> None:
    for result in ({"failed": True, "msg": "no."}, {"changed": True}):
        assert explained(result) == result


def conversation(**options: Any) -> Any:
    connection = SimpleNamespace(transport="ssh", _shell=None, get_option=lambda _name: "")
    action = SimpleNamespace(_connection=connection, _task=SimpleNamespace(check_mode=False))
    return host.conversation(action, options, {"inventory_hostname": "h"}, date(2026, 11, 26))


def test_a_task_that_asks_for_nothing_else_has_the_usual_settings() -> None:
    usual = conversation()
    assert set(usual.settings) == set(host.SETTINGS)
    assert usual.settings["confirm_within"] == 60 and "refused" not in usual.accept
    assert conversation(epoch=7).settings == {**usual.settings, "epoch": 7}


@pytest.mark.parametrize(
    ("options", "told"), [({"confirm_within": 4}, "give 5 to"), ({"lease": 4}, "give 0 for none, or 5 to")]
)
def test_times_out_of_bounds_are_refused(options: dict[str, int], told: str) -> None:
    with pytest.raises(HostsError, match=told):
        conversation(**options)


class Asked:
    """An action whose host gives these answers, one by one, and what it was sent."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers, self.words = list(answers), list[str]()
        self._connection = SimpleNamespace(transport="ssh", _shell=None, get_option=lambda _name: "")

    def _execute_module(
        self, _name: str, arguments: dict[str, str], task_vars: dict[str, Any]
    ) -> dict[str, Any]:
        word = arguments["program"].split()[0]
        self.words.append(word if word.startswith("@") else "all")
        return self.answers.pop(0)


def test_what_a_host_keeps_is_not_sent_again(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "home", lambda: tmp_path)
    kept = name()
    told: dict[str, Any] = {"state": "CONFIRMED"}
    action = Asked({"kept": kept}, told, {"state": "unknown_program"}, told, told)
    for _call in range(4):
        answer = host.ask(action, "confirm", {"policy": "p", "nonce": "n"}, {"inventory_hostname": "h"})
        assert "kept" not in answer and answer.get("state") != "unknown_program"
    assert action.words == ["all", f"@{kept}", f"@{kept}", "all", "all"] and not action.answers
    other = Asked(told)
    host.ask(other, "confirm", {}, {"inventory_hostname": "another"})
    assert other.words == ["all"]
