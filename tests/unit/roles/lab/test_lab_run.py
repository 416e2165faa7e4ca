# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading

import pytest
from bulkhead_lab.run import together
from bulkhead_lab.settings import LabError


def test_all_run_at_the_same_time_and_answer_in_order() -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet(word: str) -> str:
        meeting.wait()
        return word

    assert together(meet, ["a", "b"]) == ["a", "b"]
    assert together(meet, []) == []


def test_an_error_waits_for_the_others() -> None:
    ended = []

    def work(number: int) -> None:
        if number == 0:
            raise LabError("no")
        ended.append(number)

    with pytest.raises(LabError, match="no"):
        together(work, [0, 1, 2])
    assert sorted(ended) == [1, 2]
