# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Job slicing cuts an inventory into parts that know nothing of each other: one rollout cannot be run that way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import RolloutError

# AWX runs the slices of a template as a workflow of the template's own name.
_NAMES = tuple((f"{prefix}_job_template_name", f"{prefix}_workflow_job_name") for prefix in ("awx", "tower"))


def refuse(variables: Mapping[str, Any]) -> None:
    """Raises RolloutError where this run is one slice of a job."""
    counts = [str(variables.get(name) or "1") for name in ("job_slice_count", "awx_job_slice_count")]
    sliced = any(count.isdigit() and int(count) > 1 for count in counts) or any(
        variables.get(job) and variables.get(job) == variables.get(workflow) for job, workflow in _NAMES
    )
    if sliced:
        raise RolloutError(
            "This is one slice of a job, and a rollout cannot be sliced: each slice would have a pilot, waves and a "
            "failure budget of its own, and a gate that stops one slice would not stop the others.",
            "Set the job template's slice count to 1; docs/scale.md says how to go beyond one controller.",
        )
