# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Microsoft's schema of AppLocker policies. It is not ours to ship: BULKHEAD_SCHEMAS names the folder that holds it."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = next(parent for parent in Path(__file__).resolve().parents if (parent / "galaxy.yml").is_file())
SCHEMA = Path(os.environ.get("BULKHEAD_SCHEMAS") or ROOT.parent / "shared/data/schemas") / "AppLocker.xsd"
