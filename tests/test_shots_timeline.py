"""Order, precedence and shortest shots, whatever is found in whatever order."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from m2s_index.detectors.timeline import Timeline
from m2s_index.shots import Boundary

RATE = 24


def settle(findings, *, min_shot_seconds=0.25, end=1000):
    timeline = Timeline(min_shot_seconds)
    timeline.start(0.0)
    for boundary in findings:
        timeline.add(boundary, boundary.frame / RATE)
    return timeline.release(2**40, end / RATE)


def cut(frame):
    return Boundary(frame, "cut")


def dissolve(start, end):
    return Boundary(end, "dissolve", start, end)


def fade(start, end):
    return Boundary(end, "fade", start, end)


def test_a_cut_inside_a_fade_is_part_of_it():
    assert settle([cut(50), fade(40, 60), cut(60), cut(100)]) == [fade(40, 60), cut(100)]


def test_a_cut_in_the_middle_of_a_dissolve_speaks_against_it():
    assert settle([cut(50), dissolve(40, 60)]) == [cut(50)]


def test_a_cut_at_the_edge_of_a_dissolve_belongs_to_it():
    assert settle([cut(40), dissolve(40, 60), cut(59)]) == [dissolve(40, 60)]


def test_half_a_fade_is_no_dissolve():
    assert settle([dissolve(40, 50), fade(40, 60)]) == [fade(40, 60)]


def test_a_dissolve_that_a_cut_follows_at_once_was_a_picture_breaking_up():
    assert settle([dissolve(40, 60), cut(70)]) == [cut(70)]
    assert settle([dissolve(40, 60), cut(80)]) == [dissolve(40, 60), cut(80)]


def test_shots_that_would_be_too_short_at_the_start_or_the_end_are_not_opened():
    assert settle([cut(3), cut(500), cut(997)]) == [cut(500)]


def test_nothing_is_released_before_what_may_still_come():
    timeline = Timeline(0.25)
    timeline.start(0.0)
    timeline.add(cut(50), 50 / RATE)
    assert timeline.release(50, 100.0) == []
    assert timeline.release(51, 50 / RATE) == []
    assert timeline.release(51, 100.0) == [cut(50)]
    assert timeline.release(2**40, 100.0) == []


findings = st.lists(
    st.one_of(
        st.builds(cut, st.integers(0, 999)),
        st.builds(lambda s, n: dissolve(s, min(s + n, 999)), st.integers(0, 900), st.integers(3, 60)),
        st.builds(lambda s, n: fade(s, min(s + n, 999)), st.integers(0, 900), st.integers(3, 200)),
    ),
    max_size=40,
)


@given(findings, st.sampled_from([0.0, 0.25, 1.0]))
def test_boundaries_are_ordered_apart_and_do_not_overlap(found, shortest):
    out = settle(found, min_shot_seconds=shortest)
    marks = [0, *(b.frame for b in out), 1000]
    gap = max(1, shortest * RATE - 0.1)
    assert all(b - a >= gap for a, b in pairwise(marks))
    assert all(
        b.first_frame >= a for a, b in zip([0, *(b.frame for b in out)], out, strict=False) if b.transition != "cut"
    )


@given(findings, st.randoms())
def test_the_order_of_finding_does_not_matter(found, random):
    unique = list({b.frame: b for b in found}.values())
    shuffled = unique[:]
    random.shuffle(shuffled)
    assert settle(unique) == settle(shuffled)
