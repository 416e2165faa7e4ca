# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout import slices
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.errors import RolloutError


@pytest.mark.parametrize(
    "variables",
    [
        {"awx_job_slice_count": 3},
        {"job_slice_count": "2"},
        {"awx_job_template_name": "rollout", "awx_workflow_job_name": "rollout"},
        {"tower_job_template_name": "rollout", "tower_workflow_job_name": "rollout"},
    ],
)
def test_a_slice_is_refused_with_the_reason(variables: dict[str, object]) -> None:
    with pytest.raises(RolloutError, match="a gate that stops one slice would not stop the others") as caught:
        slices.refuse(variables)
    assert "slice count to 1" in caught.value.help_text


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"awx_job_slice_count": 1},
        {"awx_job_template_name": "rollout", "awx_workflow_job_name": "nightly"},
    ],
)
def test_a_whole_job_is_not(variables: dict[str, object]) -> None:
    slices.refuse(variables)
