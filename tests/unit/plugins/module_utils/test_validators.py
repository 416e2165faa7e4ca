# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real parsers of this machine, where it has them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from host_fixtures import data

from ansible_collections.bulkhead.fleet.plugins.module_utils import bundles, units, validators
from ansible_collections.bulkhead.fleet.plugins.module_utils.errors import HostError

pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")


def validate(tmp_path: Path, dropin: str, unit: str = "[Slice]\n") -> None:
    fragment = tmp_path / "web.service"
    fragment.write_text("[Service]\nExecStart=/bin/true\nVendorTypo=1\n")
    artifacts: list[dict[str, Any]] = data()["artifacts"][:2]
    artifacts[0]["content"], artifacts[1]["content"] = dropin, unit
    validators.validate(bundles.parse(data(artifacts=artifacts)), str(fragment))


def test_good_files_pass_and_the_vendors_faults_are_not_ours(tmp_path: Path) -> None:
    validate(tmp_path, "[Service]\nSlice=bulkhead-web.slice\nProtectSystem=strict\n")


@pytest.mark.parametrize(
    ("dropin", "message"),
    [
        ("[Service]\nProtectSytem=strict\n", "zz-bulkhead.conf:2: Unknown key"),
        ("[Service]\nProtectSystem=strct\n", "zz-bulkhead.conf:2: Failed to parse"),
        ("[Service]\nSystemCallFilter=@nonsense\n", "zz-bulkhead.conf:2: Unknown system call group"),
        ("[Srvice]\nNice=1\n", "zz-bulkhead.conf:1: Unknown section"),
    ],
)
def test_what_systemd_would_ignore_is_refused(tmp_path: Path, dropin: str, message: str) -> None:
    with pytest.raises(HostError) as caught:
        validate(tmp_path, dropin)
    assert message in str(caught.value)
    assert caught.value.state == "refused"


def test_what_a_killed_run_left_is_cleared_away(tmp_path: Path) -> None:
    """No process has that number: 4194304 is beyond the largest that Linux gives (proc(5), pid_max)."""
    left = Path(validators.STAGES, "4194305")
    left.mkdir(parents=True)
    validate(tmp_path, "[Service]\nNice=1\n")
    assert not left.exists() and not Path(validators.STAGES).exists()


@pytest.mark.parametrize("name", ["root", "0", "12345678", ""])
def test_an_account_that_is_there_passes(tmp_path: Path, name: str) -> None:
    validate(tmp_path, f"[Service]\nUser=no-such-account\nUser={name}\n")


def test_an_account_that_is_not_there_is_refused_before_anything_restarts(tmp_path: Path) -> None:
    with pytest.raises(HostError) as caught:
        validate(tmp_path, "[Service]\nUser=no-such-account\n")
    assert caught.value.state == "refused"
    assert str(caught.value).startswith(
        "web.service could not start: the account 'no-such-account' (identity.user) is not on this host."
    )


def test_units_of_our_own_are_read_too(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="bulkhead-web.slice:2: Unknown key"):
        validate(tmp_path, "[Service]\nNice=1\n", "[Slice]\nMemoryMx=1\n")


@pytest.mark.skipif(not shutil.which("nft"), reason="needs nft")
def test_nft_refuses_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "show", lambda names: {})
    artifacts = data()["artifacts"][2:]
    artifacts[0]["content"] = "table inet bulkhead_web {\n  chain x { accpt }\n}\n"
    with pytest.raises(HostError, match="web.nft:2:13-17: Error: syntax error|refuse the new files"):
        validators.validate(bundles.parse(data(artifacts=artifacts)), "/dev/null")
