#!/usr/bin/python
# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name, which runs on the controller and asks the host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probe
short_description: Prove on a Linux host that a policy holds
version_added: 0.1.0
author: The Bulkhead authors (@bulkhead)
description:
  - Reads the active generation of a policy from the host's own state, reads back what must be true for each
    clause, and tries the policy's probes through the real confinement of its unit.
  - The probe program runs as C(ExecReload=) of the running unit for one C(systemctl reload), by a drop-in in
    C(/run) that is removed again. The service keeps running with the same main process.
  - A denial counts only next to its positive control, the same act done outside of the confinement.
  - Nothing that this module does stays, so it never reports a change.
options:
  policy:
    description: Name of the policy. It must have been applied on the host.
    type: str
    required: true
  host:
    description: Name of the host in the evidence. The default is the host's own name.
    type: str
  method:
    description:
      - How the probe program gets into the confinement.
      - V(reload) uses the running unit itself, V(clone) a copy of it in the same slice.
      - V(none) reads back only.
      - V(auto) takes V(reload) where C(systemctl reload) runs C(ExecReload=), else V(clone).
    type: str
    choices: [auto, reload, clone, none]
    default: auto
  survey:
    description:
      - Survey the policy as M(bulkhead.fleet.sandbox_info) does, health checks included, before anything is tried.
    type: bool
    default: false
  bundle:
    description: A bundle to verify instead of the active generation. For developing backends.
    type: dict
attributes:
  check_mode:
    description: In check mode the module reads back and runs no probe.
    support: full
notes:
  - Needs root.
  - While it runs, C(systemctl show) lists the probe's drop-in and the unit is C(reloading).
seealso:
  - module: bulkhead.fleet.report
"""

EXAMPLES = r"""
- name: Prove that the policy holds
  bulkhead.fleet.probe:
    policy: nginx
    host: "{{ inventory_hostname }}"
  register: proof

- name: Read back only
  bulkhead.fleet.probe:
    policy: nginx
    method: none
"""

RETURN = r"""
evidence:
  description: What was claimed, read and tried, by clause. The format is in docs/contracts.md.
  returned: success
  type: dict
survey:
  description: What M(bulkhead.fleet.sandbox_info) returns for the policy, with C(health). Also where a probe failed.
  returned: when asked for
  type: dict
summary:
  description: How many clauses have which outcome.
  returned: success
  type: dict
  sample: {"enforced": 21, "partial": 8, "failed": 0, "inconclusive": 0, "refused": 0, "waived": 1}
"""
