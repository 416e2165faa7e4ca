# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where policies and baselines are: a path, the caller's directories, then the collection's own policies/.

Never the current directory: what is enforced must not depend on where somebody stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from .faults import Refusal, did_you_mean, quote

OWN = Path(__file__).resolve().parents[3] / "policies"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,47}")


def find(name: str | Path, extra: Iterable[str | Path] = ()) -> Path:
    """The file of a policy: ``nginx``, or a path that has a separator or ends in .yml or .yaml.

    Raises Refusal where there is none.
    """
    text = str(name)
    if "/" in text or text.endswith((".yml", ".yaml")):
        path = Path(text)
        if not _there(path.is_file):
            raise Refusal(f"there is no policy file {quote(text, 200)}.", "check the path")
        return path
    return _search(text, [Path(folder) for folder in extra], "policy")


def find_baseline(name: str, extra: Iterable[str | Path] = ()) -> Path:
    """The file of a baseline: ``baselines/NAME.yml`` in the same directories."""
    return _search(name, [Path(folder) / "baselines" for folder in extra], "baseline")


def _there(look: Callable[[], bool]) -> bool:
    try:
        return look()
    except OSError:  # a name that is too long for any file
        return False


def _search(name: str, folders: list[Path], what: str) -> Path:
    if not _NAME.fullmatch(name):
        raise Refusal(
            f"{quote(name)} is no name of a {what}.",
            "write lower case letters, digits, '-' and '_', or a path",
        )
    folders = [*folders, OWN if what == "policy" else OWN / "baselines"]
    for folder in folders:
        path = folder / f"{name}.yml"
        if _there(path.is_file):
            return path
    files = (file.stem for folder in folders if _there(folder.is_dir) for file in folder.glob("*.yml"))
    known = {stem for stem in files if _NAME.fullmatch(stem)}
    places = "policies" if what == "policy" else "baselines"
    raise Refusal(
        f"there is no {what} {quote(name)}.", did_you_mean(name, known, places) or f"add {name}.yml"
    )
