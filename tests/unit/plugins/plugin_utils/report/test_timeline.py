# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses

import pytest
from samples import journal

from ansible_collections.bulkhead.fleet.plugins.plugin_utils.report import timeline
from ansible_collections.bulkhead.fleet.plugins.plugin_utils.rollout.journal import Record

GOOD = [
    (0, "plan", "written", "", ""),
    (10, "apply", "intent", "pilot", "h1"), (20, "apply", "changed", "pilot", "h1"), (60, "gate", "pass", "pilot", ""),
    (70, "apply", "intent", "wave 1", "h2"), (80, "apply", "unchanged", "wave 1", "h2"),
    (90, "gate", "pass", "wave 1", ""), (100, "end", "pass", "", ""),
]  # fmt: skip
ABORTED = [
    *GOOD[:4], (70, "apply", "intent", "wave 1", "h2"), (80, "apply", "failed", "wave 1", "h2"),
    (85, "gate", "abort", "wave 1", ""), (90, "rollback", "intent", "pilot", "h1"),
    (95, "rollback", "rolled_back", "pilot", "h1"), (100, "end", "abort", "", ""),
]  # fmt: skip


def states(steps):
    drawn = timeline.draw(journal(*steps))
    return {lane.name: [bar.state for bar in lane.bars] for band in drawn.bands for lane in band.lanes}


def test_a_rollout_that_passed():
    drawn = timeline.draw(journal(*GOOD))
    assert (drawn.rollout, drawn.outcome, drawn.took) == ("nginx-e0001", "pass", "1 min 40 s")
    assert [(band.name, [gate.outcome for gate in band.gates]) for band in drawn.bands] == [
        ("pilot", ["pass"]), ("wave 1", ["pass"]),
    ]  # fmt: skip
    assert states(GOOD) == {"h1": ["applying", "soaking", "promoted"], "h2": ["applying", "kept"]}


def test_a_rollout_that_was_aborted_and_rolled_back():
    assert states(ABORTED) == {
        "h1": ["applying", "soaking", "promoted", "applying", "back"],
        "h2": ["applying", "failed"],
    }
    assert timeline.draw(journal(*ABORTED)).outcome == "abort"


def test_a_journal_without_an_end_is_still_running():
    assert timeline.draw(journal(*GOOD[:3])).outcome == "running"
    assert timeline.draw([]) is None
    assert timeline.draw(journal(*GOOD), "another") is None


def test_bars_stay_inside_of_the_drawing_and_follow_each_other():
    for band in timeline.draw(journal(*ABORTED)).bands:
        for lane in band.lanes:
            for bar, following in zip(lane.bars, lane.bars[1:], strict=False):
                assert bar.x + bar.width == pytest.approx(following.x, abs=timeline.NARROW)
            assert all(bar.x >= timeline.LEFT and bar.x + bar.width <= timeline.WIDTH for bar in lane.bars)


def test_large_waves_are_folded_and_troubles_stay_visible():
    steps = [(10, "apply", "intent", "all", f"h{number}") for number in range(40)]
    steps += [
        (20, "apply", "failed" if number == 37 else "changed", "all", f"h{number}") for number in range(40)
    ]
    (band,) = timeline.draw(journal(*steps)).bands
    assert len(band.lanes) == timeline.LANES
    assert "h37" in [lane.name for lane in band.lanes]
    assert band.folded == "30 more changed, watched"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (100000, "1 d 3 h"),
    ],
)
def test_duration(seconds, text):
    assert timeline.duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [("web1.example.org", "web1"), ("10.0.0.1", "10.0.0.1"), ("a" * 20, "a" * 14 + "…"), (".x", ".x")],
)
def test_short_names(name, text):
    assert timeline.short(name) == text


def polls(*values):
    for number, value in enumerate(values):
        yield Record(
            "poll", "seen", "nginx-e0001", wave="pilot", time=f"2026-11-26T10:00:{20 + number:02}.000Z",
            exposure={"e_value": value, "line": 100.0},
        )  # fmt: skip


def test_the_e_value_is_drawn_against_its_line():
    records = [*journal(*GOOD[:3]), *polls(0.5, 1, 30, 174)]
    drawn = timeline.draw(records).evidence
    assert (drawn.label, drawn.crossed, len(drawn.points)) == ("e-value 174 at most, line 100", True, 4)
    heights = [y for _x, y in drawn.points]
    assert heights == sorted(heights, reverse=True)
    assert heights[2] > drawn.line_y > heights[3]
    assert all(drawn.y <= y <= drawn.y + drawn.height for y in heights)
    assert not timeline.draw([*journal(*GOOD[:3]), *polls(0.5, 1)]).evidence.crossed
    assert timeline.draw(journal(*GOOD)).evidence is None


def test_a_gate_says_what_its_evidence_was():
    gate = Record("gate", "pass", "nginx-e0001", wave="pilot", time="2026-11-26T10:01:00.000Z")
    gate = dataclasses.replace(gate, exposure={"e_value": 1.234, "line": 100})
    [band] = timeline.draw([*journal(*GOOD[:3]), gate]).bands
    assert [one.evidence for one in band.gates] == ["e-value 1.23 of 100"]


def test_hosts_by_state_at_the_end():
    assert timeline.draw(journal(*GOOD)).ends == (
        ("promoted", "promoted", 1),
        ("kept", "nothing to change", 1),
    )
    assert timeline.draw(journal(*ABORTED)).ends == (("back", "rolled back", 1), ("failed", "failed", 1))
