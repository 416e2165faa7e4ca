# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page: nothing gets out of its text, nothing is loaded, and a real browser agrees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest
from samples import HOSTILE, clause, host, hostile, journal
from test_timeline import ABORTED

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import evidence, fleet, html, timeline

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync --disable-extensions"
)
FLAGS += " --disable-background-networking --disable-component-update --allow-file-access-from-files"


def page(*hosts, records=()):
    fleets = fleet.gather([evidence.parse(item, "x") for item in hosts])
    return html.render(fleets, "2026-11-24 10:00 UTC", timeline.draw(records), ["a notice"]).decode()


class Reader(HTMLParser):
    """Collects tags and their attributes; script and style content is not text."""

    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    return reader


def test_every_hostile_value_stays_text():
    bad = hostile()
    reader = read(
        page(
            bad,
            records=journal(
                *[(s, p, o, HOSTILE if w else "", HOSTILE if h else "") for s, p, o, w, h in ABORTED]
            ),
        )
    )
    assert reader.tags.count("script") == 1
    assert "img" not in reader.tags
    assert not [name for _tag, name, _value in reader.attributes if name.startswith("on")]
    assert any("onerror=alert(1)" in text for text in reader.text)


def test_the_page_loads_nothing():
    reader = read(page(host(), records=journal(*ABORTED)))
    assert {"link", "iframe", "object", "base", "form"} & set(reader.tags) <= {"form"}
    links = [value for _tag, name, value in reader.attributes if name in ("src", "href", "action", "srcset")]
    assert links
    assert all(value.startswith("#") for value in links)
    assert not [value for _tag, name, value in reader.attributes if name == "style"]


def test_ids_are_unique_and_every_link_has_a_target():
    reader = read(page(host("h1", clause("a"), clause("b"))))
    ids = [value for _tag, name, value in reader.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for _tag, name, value in reader.attributes if name == "href"} <= set(ids)


@pytest.mark.parametrize(
    ("hosts", "headline"),
    [
        ([host()], "Every clause holds"),
        ([host("h", clause(outcome="partial"))], "Every clause holds, with known gaps"),
        ([host("h", clause(outcome="failed"), clause("b", "failed"))], "2 clauses do not hold"),
        ([host("h", clause(outcome="inconclusive"))], "1 clause is not shown to hold"),
        ([{"format": 1, "host": "h", "policy": "p", "missing": "x"}], "1 clause is not shown to hold"),
        ([], "There is no evidence yet"),
    ],
)
def test_headline(hosts, headline):
    assert f"<h1>{headline}</h1>" in page(*hosts)


def test_states_are_told_in_words_and_not_by_colour_alone():
    text = page(host("h1", clause(outcome="failed", failures=["why"])))
    assert re.search(r'<td class="s-failed" title="h1: [^"]+">.*<span class="vh">failed</span></td>', text)


PROBE = """<!doctype html><body><iframe id=f src="report.html" width=390 height=800></iframe><pre id=o></pre><script>
f.onload = () => setTimeout(() => {
  const d = f.contentDocument.documentElement;
  const bad = [...f.contentDocument.querySelectorAll("main > *, section > *")]
    .filter((e) => e.getBoundingClientRect().right > 390.5).map((e) => e.className || e.tagName);
  const tools = f.contentDocument.querySelectorAll(".tools:not([hidden])").length;
  o.textContent = JSON.stringify({width: d.scrollWidth, bad, tools,
    loaded: f.contentWindow.performance.getEntriesByType("resource").length});
}, 100);
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_in_a_real_browser(tmp_path):
    long = clause("network.connect[" + "very-long-name." * 12 + "]", failures=["x" * 300], outcome="failed")
    hosts = [host(f"host{number}.example.org", clause(), long) for number in range(30)]
    (tmp_path / "report.html").write_text(page(*hosts, hostile(), records=journal(*ABORTED)))
    (tmp_path / "probe.html").write_text(PROBE)
    done = subprocess.run(
        [CHROMIUM, *FLAGS.split(), f"--user-data-dir={tmp_path}/profile", "--enable-logging=stderr", "--v=0",
         "--virtual-time-budget=4000", "--dump-dom", f"file://{tmp_path}/probe.html"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'<pre id="o">(\{.*\})</pre>', done.stdout)
    assert found, done.stdout[-600:]
    seen = json.loads(found[1])
    assert seen.pop("width") <= 390  # less where the scroll bar takes room
    assert seen == {"bad": [], "tools": 1, "loaded": 0}
    assert "CONSOLE" not in done.stderr, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_an_open_sandbox_is_a_notice_at_the_top_and_a_line_of_its_host():
    drift = [{"what": "/etc/x", "why": "content", "clauses": ["memory.limit"], "repair": "write"}]
    text = page(host("h1", notes=["open for debugging <b>"], drift=drift))
    notice = text.index('<p class="notice" role="alert">')
    assert notice < text.index("open for debugging &lt;b&gt;") < text.index("<h1>")
    assert text.count("open for debugging &lt;b&gt;") == 2 and "<b>" not in text[notice : notice + 400]
    assert "drift: /etc/x: content (memory.limit)" in text
