# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.bulkhead.fleet.plugins.module_utils import denials_numbers as numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0", 0),
        ("65535", 65535),
        ("65536", None),
        ("9" * 5000, None),
        ("-1", None),
        ("", None),
        ("\u00b2", None),
        ("\u0663", None),
        (None, None),
        (7, None),
    ],
)
def test_a_number_is_plain_digits_within_its_bound(text: object, found: int | None) -> None:
    assert numbers.number(text, numbers.PORT) == found
    if found is None:
        with pytest.raises(numbers.Unreadable):
            numbers.needed(text, numbers.PORT)
