# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the tasks of a rollout share; each attribute is named by C(extends_documentation_fragment)."""

from __future__ import annotations


class ModuleDocFragment:
    # The folder of the rollouts.
    DOCUMENTATION = r"""
options:
  rollout_dir:
    description:
      - Folder of plans, journals, epochs and locks, on the controller. It must outlive the controller's process.
    type: path
    required: true
attributes:
  diff_mode:
    support: none
    description: There is nothing to compare.
"""

    # The policies that a rollout carries.
    POLICIES = r"""
options:
  policies:
    description:
      - Names of the policies, or paths of their files.
    type: list
    elements: str
    required: true
"""

    # How the policies are read.
    READING = r"""
options:
  policies_dirs:
    description:
      - Directories to search for policies and baselines before those of the collection.
    type: list
    elements: path
    default: []
  mode:
    description:
      - Overrides the policies' own mode.
    type: str
    choices: [audit, enforce]
"""

    # A rollout that may be left unnamed.
    LATEST = r"""
options:
  rollout:
    description:
      - Id of the rollout; left out, the latest of the policies.
    type: str
"""

    # A fleet that is not obeyed, and must not seem to be.
    FLEET = r"""
options:
  fleet:
    description:
      - Hosts that the fleet means. Where the command line gave one (C(-e fleet=)) that leaves out touched hosts,
        nothing is done.
    type: list
    elements: str
    default: []
"""

    # The rollout that is at work.
    RUNNING = r"""
options:
  rollout:
    description:
      - Id of the rollout, such as C(nginx-e0003).
    type: str
    required: true
"""

    # The run that writes to the journal.
    WRITING = r"""
options:
  epoch:
    description:
      - Epoch of the run that writes. Hosts refuse an epoch lower than the highest that they have seen.
    type: int
    required: true
"""
