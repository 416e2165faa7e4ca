# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One bit of a host's receipts, records or generations is another than was written: it is told, and which file or line.

FLIPS=1000 SEED=1. The state is that of a lab host, copied by ssh, where one is up and has a policy; else one that the
module's own code made. Flips in what the guard goes by are tried on the guard as well.
"""

from __future__ import annotations

import io
import os
import random
import subprocess
import tarfile
import tempfile
from collections import Counter
from pathlib import Path

import exam

SEED, FLIPS = int(os.environ.get("SEED", "1")), int(os.environ.get("FLIPS", "1000"))
# Which of the host's files count. The lock and the guard's own program are no records.
NAMES = ("*.json", "receipts.jsonl", "active", "back", "generations/*/*", "generations/*/files/*")


def state(base: Path) -> str:
    """Fill ``base`` with a state; where it comes from."""
    from lab_host import LabHost, inventory

    for name in inventory():
        host = LabHost(name, base.parent, show=lambda _text: None)
        if host.ssh("ls -d /var/lib/bulkhead/*/generations 2>/dev/null || true"):
            argv = [*host.ssh_words(), "tar -C /var/lib -cf - bulkhead"]
            content = subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                archive.extractall(base.parent, filter="data")
            return name
    from made_state import make

    make(base)
    return "made"


def files(base: Path) -> list[Path]:
    return sorted({path for name in NAMES for path in base.glob(f"*/{name}") if path.is_file()})


def place_of(path: Path, content: bytes, byte: int) -> str:
    """What a person has to be told of a flip there."""
    if path.name == "receipts.jsonl":
        number = content[:byte].count(10) + 1
        return f"line {number} "
    return str(path)


def main() -> None:
    from ansible_collections.bulkhead.fleet.plugins.module_utils import (
        generations,
        guard_script,
        mending,
        store,
    )

    random.seed(SEED)
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "bulkhead"
        base.mkdir()
        source = state(base)
        store.BASE = str(base)
        (base / "guard").write_text(guard_script.SCRIPT)
        short = [f"{source}: whole, and told: {text}" for name in store.policies()
                 for text in mending.damage(store.Store(name))]  # fmt: skip
        told: Counter[str] = Counter()
        every = files(base)
        kinds: dict[str, list[Path]] = {}
        for path in every:
            kinds.setdefault(path.relative_to(base).parts[1].partition(".")[0], []).append(path)
        for _number in range(FLIPS):
            kind = random.choice(sorted(kinds))
            path = random.choice(kinds[kind])
            content = path.read_bytes()
            byte, bit = random.randrange(len(content)), random.randrange(8)
            path.write_bytes(content[:byte] + bytes([content[byte] ^ 1 << bit]) + content[byte + 1 :])
            policy = path.relative_to(base).parts[0]
            found = mending.damage(store.Store(policy))
            named = place_of(path, content, byte)
            told[kind] += 1
            if not found:
                short.append(f"{path} byte {byte} bit {bit}: nothing was told")
            elif named not in found[0]:
                short.append(f"{path} byte {byte} bit {bit}: told was {found[0]}")
            if (
                kind == "generations"
                and path.name not in generations.NOTES
                and not guard_sees(base, policy, path)
            ):
                short.append(f"{path} byte {byte} bit {bit}: the guard does not see it")
            path.write_bytes(content)
        figures = {"flips": FLIPS, "state of": source, "files": len(every), "in": dict(sorted(told.items()))}
        exam.end("bitflips", {**figures, "missed": len(short)}, short)


def guard_sees(base: Path, policy: str, path: Path) -> bool:
    """Whether the guard's own look at a generation, run by sh, finds it damaged."""
    digest = path.relative_to(base).parts[2]
    text = (base / "guard").read_text().split('\nuse "$base/${2:-none}"')[0]
    program = f'{text}\nuse "$base/{policy}"\n(whole {digest})'
    done = subprocess.run(
        ["sh", "-c", program, str(base / "guard")], capture_output=True, check=False, timeout=30
    )
    return done.returncode != 0


if __name__ == "__main__":
    main()
