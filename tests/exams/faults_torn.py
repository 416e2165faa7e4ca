# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""pending.json and the receipts cut at every byte, as a power cut leaves them; guard and module read what is left."""

from __future__ import annotations

import subprocess
from pathlib import Path

from made_state import make


def torn(folder: Path, stride: int = 1) -> tuple[int, list[str]]:
    """(cuts, what was wrong). ``stride``: every so many bytes, for a short look."""
    from ansible_collections.bulkhead.fleet.plugins.module_utils import guard_script, mending, receipts, store

    base = folder / "bulkhead"
    base.mkdir()
    make(base)
    place = store.Store("web")
    program = guard_script.SCRIPT.split('\nuse "$base/${2:-none}"')[0]
    (base / "look").write_text(f'{program}\nuse "$base/$1" && read_pending\necho "$phase $nonce"\n')
    wrong: list[str] = []
    cuts = 0
    pending = Path(place.at("pending.json"))
    content, nonce = pending.read_bytes(), place.record("pending")["nonce"]
    for size in range(0, len(content), stride):
        pending.write_bytes(content[:size])
        seen = subprocess.run(
            ["sh", str(base / "look"), "web"], capture_output=True, text=True, check=False
        ).stdout.strip()
        state = place.state()
        cuts += 1
        if seen != f"torn {nonce}" or state.phase != "torn" or place.open_change()["nonce"] != nonce:
            wrong.append(f"pending.json cut at {size}: the guard sees '{seen}', the module {state.phase}")
        if not any("pending.json is torn" in text for text in mending.damage(place)):
            wrong.append(f"pending.json cut at {size}: nobody is told")
    pending.unlink()
    path = Path(place.at("receipts.jsonl"))
    content = path.read_bytes()
    for size in range(0, len(content), stride):
        path.write_bytes(content[:size])
        cuts += 1
        known = len(receipts.load(str(path))[0])
        mending.mend(place)
        place.receipt("APPLYING", nonce="3" * 32)
        entries, fault = receipts.load(str(path))
        confirmed = [entry for entry in entries if entry["event"] == "CONFIRMED"]
        if fault or len(entries) < known + 1 or len(confirmed) != 1:
            wrong.append(f"receipts cut at {size}: {fault or 'a receipt is lost or there twice'}")
        if not path.read_bytes().startswith(content[:size]):
            wrong.append(f"receipts cut at {size}: what was left was taken away")
    return cuts, wrong
