# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile as the kernel gets it: compiled by the real apparmor_parser, its automaton walked for one path.

The format is that of the kernel's security/apparmor/match.c, the permissions are those of file.c (aa_compute_fperms).
The parser is taken from PATH, or BULKHEAD_APPARMOR names one (the root of an unpacked Debian package).
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

ROOT = os.environ.get("BULKHEAD_APPARMOR", "")
PARSER = (
    f"{ROOT}/sbin/apparmor_parser" if ROOT else shutil.which("apparmor_parser", path="/usr/sbin:/sbin") or ""
)
POLICIES = f"{ROOT}/etc/apparmor.d"
ABI = f"{POLICIES}/abi/3.0"
# Neither the kernel of this machine nor its parser.conf has a say; errors are all that is said.
OPTIONS = (*("-q", "-Q", "-K", "-S", "--kernel-features", ABI), *("-b", POLICIES, "-I", POLICIES))

MAGIC = b"\x1b\x5e\x78\x3d"
ACCEPT, BASE, CHECK, DEFAULT, CLASSES, NEXT = 1, 2, 3, 4, 5, 8
BITS = {"x": 0x01, "w": 0x02, "r": 0x04, "l": 0x10, "k": 0x20, "m": 0x40}
AGAIN = 0x80000000  # MATCH_FLAG_DIFF_ENCODE


def compiled(text: str) -> bytes:
    """The binary policy. Raises ValueError with the parser's own words."""
    done = subprocess.run([PARSER, *OPTIONS], input=text.encode(), capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise ValueError(done.stderr.decode())
    return done.stdout


class Automaton:
    """The automaton of a profile's file rules, the last one of its binary policy."""

    def __init__(self, policy: bytes) -> None:
        data = policy[policy.rindex(MAGIC) :]
        size, whole = struct.unpack_from(">II", data, 4)
        self.tables: dict[int, tuple[int, ...]] = {}
        at = size
        while at < whole:
            name, width, _high, length = struct.unpack_from(">HHII", data, at)
            form = {1: "B", 2: "H", 4: "I"}[width]
            self.tables[name] = struct.unpack_from(f">{length}{form}", data, at + 12)
            at += 12 + length * width
            at += -at % 8

    def allows(self, path: str | bytes, letter: str) -> bool:
        """Whether the kernel would; a link also needs its pair of name and target, here of any target."""
        name = path if isinstance(path, bytes) else path.encode()
        return self._has(name, letter) and (letter != "l" or self._has(name + b"\0/any", letter))

    def way(self, path: str) -> int:
        """How a program is started: the same profile, or an entry of the table of transitions."""
        return self._accepted(path.encode()) >> 10 & 0xF

    def _has(self, text: bytes, letter: str) -> bool:
        return bool(self._accepted(text) & BITS[letter])

    def _accepted(self, text: bytes) -> int:
        state = 1
        for byte in text:
            state = self._step(state, self.tables[CLASSES][byte] if CLASSES in self.tables else byte)
        return self.tables[ACCEPT][state]

    def _step(self, state: int, byte: int) -> int:
        while True:
            base = self.tables[BASE][state]
            at = (base & 0xFFFFFF) + byte
            if self.tables[CHECK][at] == state:
                return self.tables[NEXT][at]
            state = self.tables[DEFAULT][state]
            if not base & AGAIN:
                return state


def there() -> bool:
    return bool(PARSER) and Path(PARSER).exists() and Path(ABI).exists()
