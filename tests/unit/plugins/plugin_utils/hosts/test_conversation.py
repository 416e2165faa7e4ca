# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The talk with a host, against a host that is played: each answer is what the module answers."""

from __future__ import annotations

import copy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import features
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import compiled, conversation
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.cache import Cache
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.errors import HostsError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.groups import GroupAddresses

TODAY = date(2026, 11, 24)
FACTS = features.reference("debian12", "nginx.service").data
MANIFEST = compiled.load("nginx", [], GroupAddresses({}, {}), None, TODAY)


class Host:
    """Answers as the module would, and notes what it was asked."""

    def __init__(self) -> None:
        self.facts = copy.deepcopy(FACTS)
        self.asked: list[str] = []
        self.apply_answer: dict[str, Any] = {"state": "pending", "changed": True, "nonce": "n1"}
        self.confirm_answers: list[Any] = [{"state": "CONFIRMED"}]

    def call(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request["op"])
        if request["op"] == "features":
            return {"changed": False, "features": self.facts}
        if request["bundle"]["fingerprint"] != features.fingerprint(self.facts):
            return {"changed": False, "state": "stale_features", "features": self.facts}
        self.digest = request["bundle"]["digest"]
        return {"digest": self.digest, **self.apply_answer}

    def fresh(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append("fresh " + request["op"])
        assert request["nonce"] == "n1"
        answer = self.confirm_answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"active": self.digest, **answer}


@pytest.fixture
def host() -> Host:
    return Host()


def talk(host: Host, home: Path, **settings: Any) -> conversation.Conversation:
    fields: dict[str, Any] = {"settings": {"confirm_within": 60}, **settings}
    return conversation.Conversation("h1", "h1:22", host.call, host.fresh, Cache(home), TODAY, **fields)


def test_a_new_host_is_asked_once_what_it_can_do(host: Host, tmp_path: Path) -> None:
    result = talk(host, tmp_path).present(MANIFEST)
    assert host.asked == ["features", "apply", "fresh confirm"]
    assert result["state"] == "confirmed" and "nonce" not in result
    assert result["features_name"].startswith("Debian 12")
    assert result["verdicts"]["memory.limit"]["status"] == "enforced"


def test_a_known_host_gets_one_call_to_apply(host: Host, tmp_path: Path) -> None:
    talk(host, tmp_path).present(MANIFEST)
    host.asked.clear()
    host.apply_answer = {"state": "unchanged", "changed": False}
    again = talk(host, tmp_path)
    assert again.present(MANIFEST)["state"] == "unchanged"
    assert host.asked == ["apply"]
    assert again.cache.made == []  # compiled by the first run, for the same features


def test_a_host_that_changed_costs_one_more_call(host: Host, tmp_path: Path) -> None:
    talk(host, tmp_path).present(MANIFEST)
    host.asked.clear()
    host.facts["kernel"] = "6.99"
    host.confirm_answers = [{"state": "CONFIRMED"}]
    talk(host, tmp_path).present(MANIFEST)
    assert host.asked == ["apply", "apply", "fresh confirm"]


def test_a_refused_clause_never_reaches_the_host(host: Host, tmp_path: Path) -> None:
    host.facts["nft"] = {"present": False, "version": "", "socket_cgroupv2": False}
    with pytest.raises(HostsError, match="is refused for h1, nothing was changed") as caught:
        talk(host, tmp_path).present(MANIFEST)
    assert host.asked == ["features"] and caught.value.state == "refused"


def test_a_refusal_by_old_facts_is_asked_again(host: Host, tmp_path: Path) -> None:
    good, host.facts["nft"] = host.facts["nft"], {"present": False}
    with pytest.raises(HostsError):
        talk(host, tmp_path).present(MANIFEST)
    host.facts["nft"] = good
    host.asked.clear()
    talk(host, tmp_path).present(MANIFEST)
    assert host.asked == ["features", "apply", "fresh confirm"]


def test_check_mode_confirms_nothing(host: Host, tmp_path: Path) -> None:
    result = talk(host, tmp_path, check=True).present(MANIFEST)
    assert host.asked == ["features", "apply"] and result["state"] == "pending"


def test_a_lost_answer_is_asked_for_again(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "PAUSES", (0.0, 0.0, 0.0))
    lost = conversation.Unreachable("timed out")
    host.confirm_answers = [lost, {"failed": True, "msg": "no root"}, {"state": "CONFIRMED"}]
    assert talk(host, tmp_path).present(MANIFEST)["state"] == "confirmed"
    assert host.asked.count("fresh confirm") == 3


def test_a_host_that_cannot_be_reached_any_more(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "PAUSES", (0.0, 0.0))
    host.confirm_answers = [conversation.Unreachable("timed out")] * 2
    with pytest.raises(HostsError) as caught:
        talk(host, tmp_path).present(MANIFEST)
    assert str(caught.value) == (
        "h1 has the new sandbox but could not be reached again to confirm it, so it goes back by itself within "
        "60 seconds. timed out"
    )
    assert caught.value.state == ""


@pytest.mark.parametrize(
    ("answer", "state", "message"),
    [
        (
            {"state": "TOO_LATE", "active": ""},
            "reverted",
            "h1 took the change back: the confirmation came too late.",
        ),
        (
            {"state": "UNKNOWN", "active": ""},
            "",
            "h1 does not know this change any more and has no generation active",
        ),
        ({"state": "CONFIRMED", "active": "f" * 64}, "", "somebody else is changing it."),
    ],
)
def test_only_what_the_host_has_in_the_end_counts(
    host: Host, tmp_path: Path, answer: dict[str, str], state: str, message: str
) -> None:
    host.confirm_answers = [answer]
    with pytest.raises(HostsError) as caught:
        talk(host, tmp_path).present(MANIFEST)
    assert message in str(caught.value) and caught.value.state == state


def test_a_failed_module_keeps_its_words_and_state(host: Host, tmp_path: Path) -> None:
    host.apply_answer = {"failed": True, "msg": "web does not start.", "state": "reverted", "changed": True}
    with pytest.raises(HostsError, match="web does not start.") as caught:
        talk(host, tmp_path).present(MANIFEST)
    assert caught.value.state == "reverted" and caught.value.fields == {"changed": True}


def test_a_host_whose_features_never_settle(host: Host, tmp_path: Path) -> None:
    host.apply_answer = {"state": "stale_features", "features": host.facts}
    with pytest.raises(HostsError, match="the features of h1 change from call to call; nothing was changed."):
        talk(host, tmp_path).present(MANIFEST)


def test_a_change_under_a_lease_soaks_and_keeps_its_nonce(host: Host, tmp_path: Path) -> None:
    host.confirm_answers = [{"state": "SOAKING"}]
    talking = talk(host, tmp_path, settings={"confirm_within": 60, "lease": 600})
    result = talking.present(MANIFEST)
    assert (result["state"], result["nonce"]) == ("soaking", "n1")


@pytest.mark.parametrize(
    ("state", "lease", "answer"), [("renewed", 600, "SOAKING"), ("promoted", 0, "CONFIRMED")]
)
def test_a_lease_is_renewed_and_ended_over_a_new_connection(
    host: Host, tmp_path: Path, state: str, lease: int, answer: str
) -> None:
    host.digest = "d" * 64
    host.confirm_answers = [{"state": answer, "changed": True}]
    result = talk(host, tmp_path, settings={"confirm_within": 60, "lease": lease}).leased(
        "nginx", "n1", state
    )
    assert host.asked == ["fresh confirm"]
    assert result == {"changed": True, "state": answer.lower(), "digest": host.digest}


def test_a_lease_that_is_over_is_told(host: Host, tmp_path: Path) -> None:
    host.digest = ""
    host.confirm_answers = [{"state": "TOO_LATE"}]
    with pytest.raises(HostsError, match="took the change back: the confirmation came too late"):
        talk(host, tmp_path, settings={"confirm_within": 60}).leased("nginx", "n1", "promoted")
    with pytest.raises(HostsError, match="'state: renewed' needs the nonce that the apply gave, and a lease"):
        talk(host, tmp_path, settings={"confirm_within": 60}).leased("nginx", "n1", "renewed")


def generation(host: Host, home: Path) -> tuple[str, str]:
    """(digest, fingerprint) that a look in check mode gives."""
    result = talk(host, home, check=True).present(MANIFEST)
    return host.digest, str(result["fingerprint"])


def test_another_generation_than_planned_is_refused(host: Host, tmp_path: Path) -> None:
    planned, fingerprint = generation(host, tmp_path)
    assert talk(host, tmp_path).present(MANIFEST, planned, fingerprint)["digest"] == planned
    host.asked.clear()
    with pytest.raises(
        HostsError, match="and 'ffffffffffff' was planned: the policy or the host has changed"
    ):
        talk(host, tmp_path).present(MANIFEST, "f" * 64, fingerprint)
    assert host.asked == ["features"]  # what was remembered might have been old


def test_a_host_of_another_kind_gets_another_generation_unless_people_agreed(
    host: Host, tmp_path: Path
) -> None:
    planned, fingerprint = generation(host, tmp_path)
    host.facts["apparmor"] = {**host.facts["apparmor"], "enabled": False}
    with pytest.raises(HostsError, match="was planned"):
        talk(host, tmp_path).present(MANIFEST, planned)
    done = talk(host, tmp_path).present(MANIFEST, planned, fingerprint)
    assert done["digest"] != planned and done["fingerprint"] != fingerprint
