# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile values through the real parsers: what we write is read without a word, and as one value."""

from __future__ import annotations

import shutil
import subprocess

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsers import check, complaints, nft, systemd_analyze

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.base import BackendError
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.nftables_text import Rules, label
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends.systemd_text import UnitText, quote

hostile = st.text(
    st.one_of(st.sampled_from("\"'\\%$ \t;#=:-+!/a[{}"), st.characters()), min_size=1, max_size=16
)
few = settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@systemd_analyze
@given(st.lists(hostile, min_size=1, max_size=30))
@few
def test_systemd_takes_every_quoted_path_without_a_word(tmp_path_factory, values):
    text = UnitText("test", dropin=True)
    for value in values:
        path = value.replace(":", "").replace("\\", "")
        try:
            if not {".", ".."} & set(path.split("/")):  # the loader lets no path with such a part get here
                text.add("ReadWritePaths", quote("-/x/" + path, "c"), "c")
            text.add("Environment", quote("NAME=" + value, "c"), "c")
        except BackendError:
            continue
    folder = tmp_path_factory.mktemp("units")
    (folder / "demo.service.d").mkdir()
    (folder / "demo.service.d/zz-bulkhead.conf").write_bytes(text.render()[0])
    assert complaints(folder, "demo.service") == []


@nft
@given(st.lists(st.text(max_size=150), min_size=1, max_size=30))
@few
def test_nft_takes_every_comment_as_one(texts):
    rules = Rules()
    rules.line("table inet x {")
    rules.line("chain c {", depth=1)
    for text in texts:
        rules.rule("counter", clause=text, comment=label(text))
    rules.line("}", depth=1)
    rules.line("}")
    done = check(rules.render().decode())
    assert (done.returncode, done.stderr) == (0, "")


def test_the_parsers_are_the_real_ones():
    for name in ("systemd-analyze", "nft"):
        if shutil.which(name):
            done = subprocess.run([name, "--version"], capture_output=True, text=True, check=False)
            assert done.returncode == 0
