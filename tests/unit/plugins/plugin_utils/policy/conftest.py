# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the policy language share."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_support import CASES, GROUPS, HEAD, TODAY, WORKLOAD, Make

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.model import Manifest
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.policy.resolve import load_and_resolve


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Resolve a policy of the given body, below a head and a workload that are right."""

    def resolve(body: str = "", *, workload: str = WORKLOAD, head: str = HEAD, **options: object) -> Manifest:
        path = tmp_path / "app.yml"
        path.write_text(head + workload + body, encoding="utf-8")
        settings: dict[str, object] = {"extra_dirs": [CASES], "groups": GROUPS, "today": TODAY, **options}
        return load_and_resolve(path, **settings)  # type: ignore[arg-type]

    return resolve
