# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is sent to a host, run as a host runs it: by a bare Python without Ansible and without this collection."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts import program
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.hosts.cache import Cache

STUB = Path(program.ROOT).parent / "modules" / "on_host.py"
PYTHON = "/usr/bin/python3"
OPERATIONS = sorted(path.stem.removeprefix("operation_") for path in program.ROOT.glob("operation_*.py"))


def run(sent: str, tmp_path: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    given = json.dumps({"program": sent, **more})
    text = STUB.read_text().replace("<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>", given)
    text = text.replace("/var/lib/bulkhead/", f"{tmp_path}/")
    argv = [PYTHON, "-I", "-S", "-"]
    return subprocess.run(argv, input=text, cwd=tmp_path, capture_output=True, text=True, check=False)


def repacked(operation: str, request: dict[str, Any], **sources: str) -> str:
    asked = program.pack(operation, request).split()[1]
    return f"{program._packed({**program.lean(operation), **sources})} {asked}"


@pytest.mark.parametrize("path", sorted(program.ROOT.glob("*.py")), ids=lambda path: path.stem)
def test_imports_are_read_as_python_reads_them(path: Path) -> None:
    expected: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1
            expected += [node.module] if node.module else [alias.name for alias in node.names]
    assert sorted(program._imported(path.read_text())) == sorted(expected)


def test_there_is_an_operation_for_each_question() -> None:
    assert {"apply", "confirm", "revert", "absent", "features", "info", "probe"} <= set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_takes_all_along_that_it_imports(operation: str, tmp_path: Path) -> None:
    # Imports within functions too: each module that is sent is imported, by its name in the package on the host.
    names = sorted(program.sources(operation))
    own = "import importlib\ndef answer(request, check):\n    for name in request['names']:\n"
    own += "        importlib.import_module(__package__ + '.' + name)\n    return {'check': check, 'changed': True}\n"
    kind = {f"operation_{operation}": "from __future__ import annotations\n" + own}
    names.remove(f"operation_{operation}")
    done = run(repacked(operation, {"names": names}, **kind), tmp_path, _ansible_check_mode=True)
    assert done.stderr == "" and json.loads(done.stdout) == {"check": True, "changed": True}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", sorted(program.ROOT.glob("*.py")), ids=lambda path: path.stem)
def test_without_its_comments_a_module_is_the_same_line_by_line(path: Path) -> None:
    def told(text: str) -> tuple[str, list[int]]:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                node.body[0].value.value = ""  # type: ignore[attr-defined]
        return ast.dump(tree), [getattr(node, "lineno", 0) for node in ast.walk(tree)]

    assert told(program.bare(path.read_text())) == told(path.read_text())


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ("a = 1  # why\n", "a = 1\n"),
        ("a = '# no comment'\n", "a = '# no comment'\n"),
        (
            '"""One.\n\nMore.\n"""\nfrom __future__ import annotations\n',
            '""\n\n\n\nfrom __future__ import annotations\n',
        ),
        ('def f():\n    """Only this."""  # and this\n', 'def f():\n    ""\n'),
        ('def f():\n    "\u00e9\u00e8"; return 1\n', 'def f():\n    ""; return 1\n'),
        ('TEXT = """\n# stays\n"""\n', 'TEXT = """\n# stays\n"""\n'),
    ],
)
def test_comments_and_docstrings_stay_at_home(source: str, left: str) -> None:
    assert program.bare(source) == left


def test_sources_are_packed_once_for_all_forks(tmp_path: Path) -> None:
    cache, later = Cache(tmp_path), Cache(tmp_path)
    texts = {program.pack("confirm", {}, one) for one in (cache, later)}
    assert texts == {program.pack("confirm", {})}
    assert [kind for kind, _key in cache.made] == ["programs"] and later.made == []


def test_what_was_packed_can_be_read_again() -> None:
    sent = program.unpack(program.pack("confirm", {"policy": "p"}))
    assert (sent["operation"], sent["request"]) == ("confirm", {"policy": "p"})
    assert sent["sources"] == program.lean("confirm")


def test_sources_that_a_host_keeps_go_by_their_name() -> None:
    name = program.name()
    for operation in program.KEPT:
        assert program.pack(operation, {}, kept=name).split()[0] == f"@{name}"
    for operation, other in (("confirm", "0" * 64), ("confirm", ""), ("probe", name)):
        assert program.pack(operation, {}, kept=other) == program.pack(operation, {})


def test_an_apply_brings_what_the_others_need() -> None:
    brought = program.pack("apply", {}).split()[0]
    assert hashlib.sha256(brought.encode()).hexdigest() == program.name()
    sent = program.unpack(program.pack("apply", {}))["sources"]
    assert set(sent) == set().union(*(program.sources(operation) for operation in program.KEPT))


KEEPING = """
from . import kept, store
def answer(request, check):
    store.BASE = request['base']
    return {'kept': kept.keep(), 'from': __import__('sys').modules[__package__].carried.are_kept}
"""


def keeping(tmp_path: Path) -> tuple[str, str]:
    """The name that a host gave to what it keeps now, and a program that goes by that name."""
    sent = repacked("apply", {"base": str(tmp_path)}, operation_apply=KEEPING)
    answer = json.loads(run(sent, tmp_path).stdout)
    assert answer["from"] is False and sorted(path.name for path in tmp_path.iterdir()) == KEPT
    return answer["kept"], f"@{answer['kept']} {sent.split()[1]}"


KEPT = ["_compiled", "_sources", "lock"]


def test_a_host_runs_what_it_keeps(tmp_path: Path) -> None:
    name, by_name = keeping(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert json.loads(run(by_name, tmp_path).stdout) == {"changed": False, "from": True, "kept": name}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_sources_that_are_not_what_was_kept_are_asked_for(tmp_path: Path) -> None:
    _name, by_name = keeping(tmp_path)
    asked = {"changed": False, "state": "unknown_program"}
    (tmp_path / "_sources").write_bytes((tmp_path / "_sources").read_bytes()[:-1] + b"A")
    assert json.loads(run(by_name, tmp_path).stdout) == asked
    (tmp_path / "_sources").unlink()
    assert json.loads(run(by_name, tmp_path).stdout) == asked


@pytest.mark.parametrize("place", [0, 63, 64, 200, -1])
def test_compiled_code_that_is_not_what_was_kept_is_made_anew(tmp_path: Path, place: int) -> None:
    name, by_name = keeping(tmp_path)
    code = bytearray((tmp_path / "_compiled").read_bytes())
    code[place] ^= 1
    (tmp_path / "_compiled").write_bytes(code)
    assert json.loads(run(by_name, tmp_path).stdout) == {"changed": False, "from": False, "kept": name}
    assert json.loads(run(by_name, tmp_path).stdout)["from"] is True


def test_what_is_not_asked_for_stays_at_home() -> None:
    assert not {"transaction", "guard_script", "readback_facts"} & set(program.sources("confirm"))
    assert "probing" not in program.sources("apply")


def test_an_error_of_the_host_is_a_failed_result(tmp_path: Path) -> None:
    done = run(program.pack("confirm", {"policy": "../x", "nonce": "n"}), tmp_path)
    answer = json.loads(done.stdout)
    assert done.returncode == 1 and done.stderr == ""
    assert answer["failed"] and "'../x' is no policy name" in answer["msg"]


@pytest.mark.parametrize(
    "text", ["'''", '"""', "\\", "{{ x }}", "<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>", "\u2028\n\0"]
)
def test_no_value_of_a_request_ends_the_text_it_stands_in(text: str, tmp_path: Path) -> None:
    echo = "def answer(request, check):\n    return {'said': request['text']}\n"
    done = run(repacked("confirm", {"text": text}, operation_confirm=echo), tmp_path)
    assert json.loads(done.stdout) == {"changed": False, "said": text}


def test_names_that_are_no_text_do_not_spoil_the_answer(tmp_path: Path) -> None:
    name = r"b'/\xff/\xc3\xa9'.decode('utf-8', 'surrogateescape')"
    echo = f"def answer(request, check):\n    return {{'links': {{'/a': {name}}}}}\n"
    done = run(repacked("confirm", {}, operation_confirm=echo), tmp_path)
    assert json.loads(done.stdout)["links"] == {"/a": "/?/\u00e9"}
    json.loads(done.stdout)["links"]["/a"].encode("utf-8")


def test_a_fault_of_ours_names_its_line(tmp_path: Path) -> None:
    done = run(
        repacked("confirm", {}, operation_confirm="def answer(request, check):\n    1 / 0\n"), tmp_path
    )
    assert done.returncode == 1 and done.stdout == ""
    assert (
        "operation_confirm" in done.stderr and "line 2" in done.stderr and "ZeroDivisionError" in done.stderr
    )


def test_an_old_python_is_told() -> None:
    text = STUB.read_text()
    assert "from __future__" not in text.replace("No future import", "")
    scope: dict[str, Any] = {"__name__": "on_host"}
    exec(compile(text, "on_host", "exec"), scope)
    scope["sys"] = type("Old", (), {"version_info": (3, 6, 8)})
    assert scope["main"]() == {
        "failed": True,
        "msg": "the host's Python is 3.6; Bulkhead needs 3.9 or newer.",
    }
