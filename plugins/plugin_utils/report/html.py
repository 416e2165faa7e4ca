# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One self-contained HTML page: no network, no fonts or scripts from elsewhere, readable without its script.

Every value is escaped by Jinja. The page's own style and script are admitted by their hashes in its content
security policy, so that a hostile value that slipped through could still not run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from .fleet import BAD_STATES, STATES, PolicyFleet, summary
from .timeline import Timeline

HERE = Path(__file__).resolve().parent
ORDER = ("proven", "read", "claimed", "partial", "waived", "refused", "inconclusive", "failed", "missing")


def _source(text: str) -> str:
    """A source expression for a content security policy (CSP level 2, hash-source)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def shares(counts: dict[str, int], width: float) -> list[tuple[str, int, float, float]]:
    """Segments of a stacked bar: (state, count, x, width), in the order of ORDER."""
    total = sum(counts.get(name, 0) for name in ORDER) or 1
    out, x = [], 0.0
    for name in ORDER:
        count = counts.get(name, 0)
        if count:
            part = width * count / total
            out.append((name, count, round(x, 2), round(part, 2)))
            x += part
    return out


def render(
    fleets: Sequence[PolicyFleet],
    generated: str,
    timeline: Timeline | None = None,
    notices: Sequence[str] = (),
    title: str = "Fleet report",
) -> bytes:
    """The page as UTF-8. ``generated``: the time in its footer; ``notices``: sentences at its top."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (HERE / "page.css").read_text(encoding="utf-8")
    script = (HERE / "page.js").read_text(encoding="utf-8")
    content_policy = "; ".join(
        (
            "default-src 'none'",
            f"style-src {_source(style)}",
            f"script-src {_source(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    page = environment.get_template("page.html.j2").render(
        fleets=fleets,
        figures=summary(fleets),
        timeline=timeline,
        notices=notices,
        generated=generated,
        title=title,
        states=STATES,
        order=ORDER,
        bad_states=BAD_STATES,
        shares=shares,
        content_policy=content_policy,
        style=Markup(style),
        script=Markup(script),
    )
    return page.encode("utf-8", "replace")
