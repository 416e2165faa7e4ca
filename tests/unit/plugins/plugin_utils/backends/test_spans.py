# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.backends import spans

pairs = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair)))


def numbers(found):
    return {number for first, last in found for number in range(first, last + 1)}


@given(st.lists(pairs))
def test_merge_keeps_the_numbers_in_the_fewest_spans(found):
    merged = spans.merge(found)
    assert numbers(merged) == numbers(found)
    assert all(left[1] + 1 < right[0] for left, right in zip(merged, merged[1:], strict=False))


@given(st.lists(pairs))
def test_complement_is_all_the_rest(found):
    assert numbers(spans.complement(found, 50)) == set(range(51)) - numbers(found)


@given(st.dictionaries(pairs, st.lists(pairs, max_size=2).map(spans.merge), max_size=4), st.integers(0, 60))
def test_segments_give_each_port_the_addresses_of_all_its_spans(allowed, port):
    wanted = {
        number for (first, last), held in allowed.items() if first <= port <= last for number in numbers(held)
    }
    (found,) = [
        held for held, ports in spans.segments(allowed).items() if any(a <= port <= b for a, b in ports)
    ]
    assert numbers(found) == wanted


def test_texts():
    assert spans.address_text((167772160, 167772415), 4) == "10.0.0.0-10.0.0.255"
    assert spans.address_text((1, 1), 6) == "::1"
    assert spans.port_text((1, 2)) == "1-2"
