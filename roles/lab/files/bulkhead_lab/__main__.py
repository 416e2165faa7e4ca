# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run as 'python3 -m bulkhead_lab' or by the path of this folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bulkhead_lab.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
