# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Scheme for tests: Apple's sandbox reads its profiles with TinyScheme."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SCHEME = shutil.which("tinyscheme")
# Reads one form after the other and counts them.
COUNT = """
(define port (open-input-file "{file}"))
(define (count n) (if (eof-object? (read port)) n (count (+ n 1))))
(display (count 0))
(newline)
(quit)
"""


def forms(file: Path, folder: Path) -> int:
    """The number of forms in a profile."""
    script = folder / "count.scm"
    script.write_text(COUNT.format(file=file))
    done = subprocess.run([str(SCHEME), str(script)], capture_output=True, text=True, timeout=20, check=False)
    return int(done.stdout.split()[-1])
