# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JUnit XML out of evidence: one test suite a policy, one test case for each host and clause."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from .fleet import PolicyFleet, Row

# XML 1.0 section 2.2: what no document may hold, escaped or not.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(fleets: Iterable[PolicyFleet]) -> bytes:
    """A ``testsuites`` document. Failed and refused clauses are failures, inconclusive and missing ones are
    errors, waived ones are skipped."""
    root = ET.Element("testsuites")
    for fleet in fleets:
        suite = ET.SubElement(root, "testsuite", name=_clean(f"bulkhead.{fleet.policy}"))
        counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        for column in fleet.hosts:
            if column.evidence.missing:
                _case(suite, counts, column.name, "evidence", "error", column.evidence.missing)
        for row in fleet.rows:
            _row(suite, counts, row)
        suite.attrib.update({name: str(count) for name, count in counts.items()})
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _row(suite: ET.Element, counts: dict[str, int], row: Row) -> None:
    for cell in row.cells:
        found = cell.evidence
        if found is None:
            continue
        text = "; ".join([*found.failures, *found.unsure]) or found.detail or found.outcome
        kind = {"failed": "failure", "refused": "failure", "inconclusive": "error", "waived": "skipped"}.get(
            cell.state, ""
        )
        _case(suite, counts, cell.host, row.clause, kind, text)


def _case(suite: ET.Element, counts: dict[str, int], host: str, name: str, kind: str, text: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=_clean(host), name=_clean(name), time="0")
    counts["tests"] += 1
    if kind:
        counts[{"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]] += 1
        ET.SubElement(case, kind, message=_clean(text))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
