# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The event source, with a program in the place of ansible-playbook."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

EDA = Path(__file__).parents[3] / "extensions/eda"


@pytest.fixture
def source() -> ModuleType:
    spec = importlib.util.spec_from_file_location("denials", EDA / "plugins/event_source/denials.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def program(folder: Path, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "ansible-playbook"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def events(source: ModuleType, args: dict[str, Any], count: int) -> list[dict[str, Any]]:
    async def run() -> list[dict[str, Any]]:
        queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        task = asyncio.create_task(source.main(queue, args))
        try:
            return [await asyncio.wait_for(queue.get(), 20) for _number in range(count)]
        finally:
            task.cancel()

    return asyncio.run(run())


def test_what_the_playbook_appends_is_given_on(
    source: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "nginx.jsonl"
    path.write_text('{"host": "old"}\n')
    new = json.dumps({"host": "web1", "act": "read /srv/x"})
    program(tmp_path, f"echo '{new}' >> {path}; echo \"$@\" > {tmp_path}/said", monkeypatch)
    args = {"policy": "p/nginx.yml", "inventory": "hosts", "denials_dir": str(tmp_path), "interval": 0.01}
    assert events(source, args, 2) == [{"denial": json.loads(new)}] * 2
    words = (tmp_path / "said").read_text()
    assert words.startswith("bulkhead.fleet.denials -i hosts -e ")
    assert '"policy": "p/nginx.yml"' in words


def test_a_playbook_that_fails_is_an_event(
    source: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "echo no such host; exit 4", monkeypatch)
    args = {"policy": "nginx", "inventory": "hosts", "denials_dir": str(tmp_path / "d"), "interval": 0.01}
    [event] = events(source, args, 1)
    assert event["denials"]["trouble"] == "the playbook ended with 4: no such host"


def test_a_half_written_line_waits_and_a_new_file_begins_anew(source: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    assert source.news(path, 0) == (0, [])
    path.write_text('{"a": 1}\n{"b"')
    assert source.news(path, 0) == (9, [{"a": 1}])
    path.write_text('{"a": 1}\n{"b": 2}\n')
    assert source.news(path, 9) == (18, [{"b": 2}])
    path.write_text('{"c": 3}\n')
    assert source.news(path, 18) == (9, [{"c": 3}])


def test_what_it_needs_is_named(source: ModuleType) -> None:
    with pytest.raises(ValueError, match="needs inventory, denials_dir"):
        asyncio.run(source.main(asyncio.Queue(), {"policy": "nginx"}))


def test_the_rulebook_names_the_source_and_playbooks_that_are_there() -> None:
    [ruleset] = yaml.safe_load((EDA / "rulebooks/denials.yml").read_text())
    [entry] = ruleset["sources"]
    assert set(entry["bulkhead.fleet.denials"]) <= {"policy", "inventory", "denials_dir", "interval"}
    names = [r["action"]["run_playbook"]["name"] for r in ruleset["rules"] if "run_playbook" in r["action"]]
    assert names == ["bulkhead.fleet.pause"]
    assert (EDA.parents[1] / "playbooks/pause.yml").is_file()
