#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Report what hosts showed for each clause of a policy
version_added: 0.1.0
author:
  - The Bulkhead authors (@bulkhead)
description:
  - Keeps the results of M(bulkhead.fleet.probe) as evidence files and makes one HTML page and JUnit XML of them.
  - Runs on the controller and asks no host. Never fails because a clause does not hold; look at RV(ok).
options:
  policy:
    description: Name of the policy, or the path of its file.
    type: str
    required: true
  policies_dirs:
    description: Folders to search for policies before those of the collection.
    type: list
    elements: path
    default: []
  evidence_dir:
    description: Folder of the evidence, one file a policy and host.
    type: path
    required: true
  hosts:
    description: The hosts to report on. A host without evidence is reported as such and counts as not holding.
    type: list
    elements: str
    required: true
  proof:
    description: Name of the variable in which each host's result of M(bulkhead.fleet.probe) was registered.
    type: str
  rollout_dir:
    description: Folder of the rollouts. The latest one of the policy is drawn as a timeline.
    type: path
  html:
    description: Where to write the page.
    type: path
  junit:
    description: Where to write JUnit XML.
    type: path
  notices:
    description: Sentences to show at the top of the page.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: The files are written in check mode too, as they change no host.
    support: none
seealso:
  - module: bulkhead.fleet.probe
"""

EXAMPLES = r"""
- name: Write the report
  bulkhead.fleet.report:
    policy: nginx
    evidence_dir: report/evidence
    hosts: "{{ groups.web }}"
    proof: proof
    html: report/report.html
  run_once: true
  delegate_to: localhost
"""

RETURN = r"""
ok:
  description: Whether every clause holds on every host.
  returned: success
  type: bool
lines:
  description: The report in short, for people at a terminal.
  returned: success
  type: list
  elements: str
summary:
  description: Counts of hosts, probes and clauses by state.
  returned: success
  type: dict
policy:
  description: Name of the policy.
  returned: success
  type: str
"""
