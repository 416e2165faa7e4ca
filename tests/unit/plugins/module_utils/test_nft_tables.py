# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.bulkhead.fleet.plugins.module_utils import nft_tables
from ansible_collections.bulkhead.fleet.plugins.module_utils.command import Completed

META = {"metainfo": {"version": "1.0.6"}}
TEXT = "table inet t { # progname nft\n\tflags owner\n\n\tset s {\n\t}\n\n\tchain in {\n\t}\n\n\tchain out {\n\t}\n}\n"
# As nftables 1.0.6 printed it: the listing ends where the table's flag should stand.
CUT = (
    '{"nftables": [{"metainfo": {"version": "1.0.6"}}, {"table": {"family": "inet", "name": "t", "flags": \n'
)


def rule(chain: str) -> dict[str, object]:
    return {"rule": {"chain": chain, "comment": f"of {chain}"}}


class Nft:
    def __init__(self, listing: str, gone: str = "") -> None:
        self.said = {"-j list table inet t": listing, "list table inet t": TEXT}
        for chain in ("in", "out"):
            if chain != gone:
                self.said[f"-j list chain inet t {chain}"] = json.dumps({"nftables": [META, rule(chain)]})

    def __call__(self, argv: list[str]) -> Completed:
        found = self.said.get(" ".join(argv[1:]))
        return Completed(1, "", "No such file") if found is None else Completed(0, found, "")


def test_a_whole_listing() -> None:
    assert nft_tables.objects(Nft(json.dumps({"nftables": [META, rule("in")]})), "inet", "t") == [rule("in")]


def test_a_listing_that_ends_at_the_tables_flag_is_read_chain_by_chain() -> None:
    assert nft_tables.objects(Nft(CUT), "inet", "t") == [rule("in"), rule("out")]


def test_a_table_that_is_not_there_or_goes_meanwhile() -> None:
    assert nft_tables.objects(Nft(CUT), "inet", "other") is None
    assert nft_tables.objects(Nft(CUT, gone="out"), "inet", "t") is None
