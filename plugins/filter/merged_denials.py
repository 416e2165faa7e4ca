# Copyright: The Bulkhead authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Denials of a fleet as one list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.denials.explain import merged, merged_lines

DOCUMENTATION = r"""
name: merged_denials
short_description: Denials of several hosts as one list for people
version_added: 0.1.0
author: The Bulkhead authors (@bulkhead)
description:
  - Takes the results of M(bulkhead.fleet.denials_info) out of the hosts' variables and puts equal denials together, by
    their fingerprints.
positional: _input, variable
options:
  _input:
    description: The variables of all hosts, C(hostvars).
    type: dict
    required: true
  variable:
    description: Name of the variable that the results were registered in.
    type: str
    required: true
"""

EXAMPLES = r"""
- ansible.builtin.debug:
    msg: "{{ hostvars | bulkhead.fleet.merged_denials('denied') }}"
"""

RETURN = r"""
_value:
  description: A line for each denial, with its clause, the sum of its counts and its hosts.
  type: list
  elements: str
"""


def merged_denials(hostvars: Mapping[str, Mapping[str, Any]], variable: str) -> list[str]:
    """The lines; a host without a result has none."""
    found = {name: hostvars[name].get(variable) for name in hostvars}
    return merged_lines(
        merged({name: result for name, result in found.items() if isinstance(result, Mapping)})
    )


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {"merged_denials": merged_denials}
