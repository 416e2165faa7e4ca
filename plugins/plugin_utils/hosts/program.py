# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module ``on_host`` is sent: an operation, its request, and the sources that it needs of module_utils.

An operation is a file of module_utils: ``operation_<name>.py`` with ``answer(request, check)``. What it imports, at
its head or inside a function, goes along and is compiled on the host only when it is imported there.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from functools import cache
from pathlib import Path
from typing import Any

from ... import module_utils

ROOT = Path(module_utils.__path__[0])
# Each fork of Ansible works this out anew: parsing the files would cost a tenth of a second for each host.
_IMPORT = re.compile(r"^ *from \.(\w*) import (\([^)]*\)|.*)", re.MULTILINE)


def pack(operation: str, request: dict[str, Any]) -> str:
    """The text that travels as the argument ``program``: base64 of deflated JSON."""
    sent = {"operation": operation, "request": request, "sources": sources(operation)}
    raw = json.dumps(sent, separators=(",", ":")).encode()
    # Level 9 takes twice the time of level 6 and saves half a percent.
    return base64.b64encode(zlib.compress(raw, 6)).decode()


@cache
def sources(operation: str) -> dict[str, str]:
    """{module: source} of all that ``operation`` can import from module_utils, itself included."""
    found: dict[str, str] = {}
    open_ = ["dispatch", f"operation_{operation}"]
    while open_:
        name = open_.pop()
        if name not in found:
            found[name] = (ROOT / f"{name}.py").read_text("utf-8")
            open_ += _imported(found[name])
    return found


def _imported(source: str) -> list[str]:
    """Modules of the same folder that ``source`` imports: all of them by a relative import of one dot."""
    names: list[str] = []
    for module, listed in _IMPORT.findall(source):
        names += [module] if module else re.findall(r"(\w+)(?: as \w+)?", listed)
    return names
