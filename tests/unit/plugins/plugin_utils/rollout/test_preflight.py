# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import preflight
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.options import Options

GIVEN: dict[str, Any] = {"confirm_within": 60, "probe_method": "auto", "probe_waves": ["pilot", "wave 3"]}


def test_what_makes_sense() -> None:
    assert list(preflight.settings(GIVEN, Options(poll=2, lease=6))) == []
    assert list(preflight.hosts({"a": ["nginx"], "b": []})) == []


@pytest.mark.parametrize(
    ("given", "lease", "fault"),
    [
        ({"confirm_within": 0}, 0, "rollout_confirm_within is '0'; write 5 to 86400 seconds."),
        ({"confirm_within": -5}, 0, "rollout_confirm_within is '-5'; write 5 to 86400 seconds."),
        (
            {"probe_method": "fast"},
            0,
            "rollout_probe_method is 'fast'; write one of auto, reload, clone, none.",
        ),
        (
            {"probe_waves": ["cannary"]},
            0,
            "rollout_probe_waves has 'cannary'; write pilot, canary, unchanged or wave 1 to wave 3.",
        ),
        ({}, 3, "rollout_lease is '3'; write 0 for none, or 5 to 86400 seconds."),
    ],
)
def test_what_makes_none(given: dict[str, Any], lease: int, fault: str) -> None:
    assert list(preflight.settings(GIVEN | given, Options(poll=1, lease=lease))) == [fault]


@pytest.mark.parametrize("value", ["nginx-edge", {"nginx": 1}, [["nginx"]], True])
def test_a_host_lists_its_policies(value: object) -> None:
    """Of the text 'nginx-edge' a part is 'nginx', which the host would then get."""
    assert list(preflight.hosts({"a": value})) == [
        f"Host 'a' has bulkhead_policies '{value}'; write a list of names, such as [nginx]."
    ]


WRITE = "write an address, such as 'https://chat.example.org/hooks/name'."
ONLY = "and a webhook has no options; write its address only: an address, such as 'https://chat.example.org/hooks/name'."


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ({"url": "http://x/S3CRET", "headers": {}}, f"is a mapping (with 'url', 'headers'), {ONLY}"),
        ({"address": "http://x/S3CRET"}, f"is a mapping (with 'address'), {ONLY}"),
        ({}, f"is a mapping (with nothing), {ONLY}"),
        (None, f"is no text; {WRITE}"),
        (["http://x/S3CRET"], f"is no text; {WRITE}"),
        ("chat.example.org/S3CRET", f"does not begin with http:// or https://; {WRITE}"),
        ("http://x/S3CRET y", f"has no usable host or port, or has blanks; {WRITE}"),
        ("https://:80/S3CRET", f"has no usable host or port, or has blanks; {WRITE}"),
    ],
)
def test_a_webhook_is_an_address_and_none_of_it_is_told(address: object, fault: str) -> None:
    assert list(preflight.webhooks(["http://127.0.0.1:9/s", address])) == [f"rollout_webhooks[1] {fault}"]


def test_settings_without_a_plan() -> None:
    given = GIVEN | {"confirm_within": 1, "probe_waves": ["cannary"]}
    assert list(preflight.settings(given, None)) == [
        "rollout_confirm_within is '1'; write 5 to 86400 seconds."
    ]


def token(folder: Path, content: bytes = b"t0k3n\n", mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_bytes(content)
    path.chmod(mode)
    return path


def asked(path: object) -> list[str]:
    return list(preflight.files([{"command": ["true"]}, {"url": "http://x", "token_file": path}]))


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_token_that_only_its_own_can_read(tmp_path: Path, mode: int) -> None:
    assert asked(str(token(tmp_path, mode=mode))) == []


def test_a_token_that_is_not_there(tmp_path: Path) -> None:
    assert asked(f"{tmp_path}/none") == [
        f"rollout_gates[1] (url): its token_file '{tmp_path}/none' cannot be read (No such file or directory); "
        "write the path of a file that this user can read."
    ]
    assert asked(str(tmp_path)) == [
        f"rollout_gates[1] (url): its token_file '{tmp_path}' is no file; "
        "write the path of a file that holds the token and nothing else."
    ]


def test_a_token_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object) -> str:
        raise PermissionError(13, "Permission denied")

    path = token(tmp_path)
    monkeypatch.setattr(Path, "read_text", refuse)  # who runs the tests may be root
    assert asked(str(path)) == [
        f"rollout_gates[1] (url): its token_file '{path}' cannot be read (Permission denied); "
        "write the path of a file that this user can read."
    ]


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o644])
def test_a_token_that_is_open_to_others(tmp_path: Path, mode: int) -> None:
    path = token(tmp_path, mode=mode)
    assert asked(str(path)) == [
        f"rollout_gates[1] (url): its token_file '{path}' is open to all users (mode {mode:04o}); "
        f"run chmod 0600 '{path}'."
    ]


@pytest.mark.parametrize("content", [b"", b"\n", b"S3CRET\nHost: x", b"two words", b"\xff"])
def test_a_file_that_holds_no_token_and_what_it_holds_is_not_told(tmp_path: Path, content: bytes) -> None:
    path = token(tmp_path, content)
    assert asked(str(path)) == [
        f"rollout_gates[1] (url): its token_file '{path}' holds no token; "
        "write the token into it, in one line and without blanks."
    ]


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    plain = tmp_path / "check"
    plain.write_text("#!/bin/sh\n")
    gates = [{"command": [program]} for program in (str(plain), f"{tmp_path}/none", "no-such-program", "sh")]
    assert list(preflight.files(gates)) == [
        f"rollout_gates[0] (command): its program '{plain}' cannot be executed; run chmod +x '{plain}'.",
        f"rollout_gates[1] (command): its program '{tmp_path}/none' is not there; "
        "write the path of a program of the controller.",
        "rollout_gates[2] (command): its program 'no-such-program' is not there; "
        "write the path of a program of the controller.",
    ]
    plain.chmod(0o755)
    assert os.access(plain, os.X_OK)
    assert list(preflight.files(gates[:1])) == []


@pytest.mark.parametrize(
    "gate", ["text", None, {}, {"command": "true"}, {"url": "http://x", "token_file": 5}]
)
def test_what_is_wrong_with_a_gate_itself_is_told_elsewhere(gate: object) -> None:
    assert list(preflight.files([gate])) == []
