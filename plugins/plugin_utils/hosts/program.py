# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``on_host`` is sent: an operation, its request, and the sources that it needs of module_utils.

An operation is a file of module_utils: ``operation_<name>.py`` with ``answer(request, check)``. What it imports, at
its head or inside a function, goes along and is compiled on the host only when it is imported there. Sources that the
host keeps (``kept.py``) go by their name.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import io
import json
import re
import tokenize
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from ... import module_utils
from .cache import Cache, identity

ROOT = Path(module_utils.__path__[0])
# What an apply brings and the host keeps is enough for all of these.
KEPT = ("absent", "apply", "confirm", "features", "info", "revert")
_IMPORT = re.compile(r"^ *from \.(\w*) import (\([^)]*\)|.*)", re.MULTILINE)


def pack(operation: str, request: dict[str, Any], store: Cache | None = None, kept: str = "") -> str:
    """The text that travels as the argument ``program``: sources and what is asked, each base64 of deflated JSON.

    ``kept``: the name of the sources that the host keeps, "" for none. With ``store`` the sources are packed once for
    all forks and hosts: it takes longer than all else here.
    """

    named = kept and operation in KEPT and kept == name(store)
    packed = f"@{kept}" if named else _brought(operation, store)
    return f"{packed} {_packed({'operation': operation, 'request': request})}"


def name(store: Cache | None = None) -> str:
    """Of what hosts keep of this version: its SHA-256."""
    return _once(store, "name", lambda: hashlib.sha256(_brought("apply", store).encode()).hexdigest())


def unpack(program: str) -> dict[str, Any]:
    """{operation, request, sources} of what ``pack`` made."""
    sources_, asked = (json.loads(zlib.decompress(base64.b64decode(word))) for word in program.split())
    return {**asked, "sources": sources_}


def sources(*operations: str) -> dict[str, str]:
    """{module: source} of all that ``operations`` can import from module_utils, themselves included."""
    found: dict[str, str] = {}
    open_ = ["dispatch", *(f"operation_{operation}" for operation in operations)]
    while open_:
        name = open_.pop()
        if name not in found:
            found[name] = (ROOT / f"{name}.py").read_text("utf-8")
            open_ += _imported(found[name])
    return found


def lean(*operations: str) -> dict[str, str]:
    """The same without what only people read, which is a third of what would travel."""
    return {module: bare(text) for module, text in sorted(sources(*operations).items())}


def bare(source: str) -> str:
    """``source`` without comments and with empty docstrings. Each line keeps its number, for tracebacks."""
    lines = source.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, False):
            text = node.body[0]
            first, last = text.lineno - 1, (text.end_lineno or text.lineno) - 1
            before = lines[first].encode()[: text.col_offset].decode()  # columns count bytes (ast)
            after = lines[last].encode()[text.end_col_offset :].decode()
            # Not left out: a function may have no other line, and what follows may have to come first in its file.
            lines[first : last + 1] = [f'{before}""{after}', *[""] * (last - first)]
    return "\n".join(lines)


def _brought(operation: str, store: Cache | None) -> str:
    """The sources that go with ``operation``, packed."""
    operations = KEPT if operation == "apply" else (operation,)
    return _once(store, operation, lambda: _packed(lean(*operations)))


def _once(store: Cache | None, key: str, make: Callable[[], str]) -> str:
    made: str = store.get_or_make("programs", key + code_identity(), make) if store else make()
    return made


def _packed(data: Any) -> str:
    raw = json.dumps(data, separators=(",", ":")).encode()
    return base64.b64encode(zlib.compress(raw, 9)).decode()


@cache
def code_identity() -> str:
    """Changes with every change of what is sent and of this file."""
    return identity((Path(__file__), *sorted(ROOT.glob("*.py"))))


def _imported(source: str) -> list[str]:
    """Modules of the same folder that ``source`` imports: all of them by a relative import of one dot."""
    names: list[str] = []
    for module, listed in _IMPORT.findall(source):
        names += [module] if module else re.findall(r"(\w+)(?: as \w+)?", listed)
    return names
