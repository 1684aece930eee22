"""The work that a picture gives to Graphviz is bounded, whatever the shape of the graph."""

from __future__ import annotations

import re

import numpy as np
import pytest

from autograd import draw
from autograd.drawing.fold import ARROWS
from autograd.drawing.long_arrows import PASSED, ranks_of
from autograd.drawing.snapshot import Arrow
from graphs import words
from large_graphs import SHAPES
from leaves import leaf


def passed(picture):
    """How many ranks all arrows together pass, on the ranks of a picture in which copies are boxes of their own."""
    arrows, count = [], len(picture.snapshot.boxes)
    for arrow in picture.snapshot.arrows:
        start = arrow.start
        if arrow.cut:
            start, count = count, count + 1
        arrows.append(Arrow(start, arrow.end))
    ranks = ranks_of(count, arrows)
    return sum(ranks[arrow.end] - ranks[arrow.start] - 1 for arrow in arrows)


@pytest.mark.parametrize("size", [60, 400])
@pytest.mark.parametrize("shape", SHAPES)
def test_boxes_arrows_and_passed_ranks_are_bounded_for_every_shape(shape, size):
    loss = SHAPES[shape](size)
    for max_nodes in (40, 300, 1000):
        picture = draw(loss, max_nodes=max_nodes)
        snapshot = picture.snapshot
        assert len(snapshot.boxes) <= max_nodes
        assert len(snapshot.arrows) <= ARROWS * max_nodes
        assert passed(picture) <= max(PASSED, len(snapshot.boxes))
        edges = re.findall(r"^\s*[bc]\w+ -> .*$", picture.source, re.M)
        assert len(edges) == len(snapshot.arrows)
        assert not [line for line in edges if re.search(r"[\[ ]label=", line)]  # a label makes two ranks of each


@pytest.mark.parametrize("shape", SHAPES)
def test_graphviz_lays_out_every_shape(shape):
    picture = draw(SHAPES[shape](60), max_nodes=100)
    assert "<svg" in picture.svg()


def test_small_pictures_have_no_cut_arrows():
    picture = draw(SHAPES["recurrence"](4), rankdir="TB")
    assert not any(arrow.cut for arrow in picture.snapshot.arrows) and "join a box" not in picture.source


def test_a_cut_arrow_starts_at_a_copy_with_the_number_of_its_box():
    picture = draw(SHAPES["recurrence"](40), run_backward=True, rankdir="TB")
    snapshot = picture.snapshot
    cut = [arrow for arrow in snapshot.arrows if arrow.cut]
    assert {snapshot.boxes[arrow.start].mark for arrow in cut} == {box.mark for box in snapshot.boxes if box.mark}
    marks = sorted(box.mark for box in snapshot.boxes if box.mark)
    assert marks == list(range(1, len(marks) + 1))
    w = next(box for box in snapshot.boxes if box.title == "w")
    seen = words(picture.svg())
    copies = {(arrow.start, arrow.end) for arrow in cut if snapshot.boxes[arrow.start] is w}
    assert seen.count(f"w ({w.mark})") == len(copies) > 10
    assert any(text.endswith(f"parameter 2 ({w.mark})") for text in seen)
    assert any("join a box to its underlined copies" in text for text in seen)
    assert all(arrow.gradient is not None for arrow in cut if snapshot.boxes[arrow.start] is w)


def test_ops_that_only_sources_hold_back_are_near_what_they_feed():
    arrows = [Arrow(0, 1), Arrow(1, 2), Arrow(2, 3), Arrow(4, 5), Arrow(0, 5), Arrow(5, 3)]
    assert ranks_of(6, arrows) == [0, 1, 2, 3, 1, 2]


def test_a_long_name_keeps_the_number():
    w = leaf(1.0, name="w" * 300)
    loss = w
    for _ in range(40):
        loss = np.sin(loss * w)
    assert f"{'w' * 37}... (1)" in words(draw(loss).svg())


def test_named_tensors_without_a_path_are_counted_when_there_is_no_room_for_them():
    names = {f"w{i}": leaf(1.0) for i in range(50)}
    picture = draw(leaf(1.0) * 2.0, names=names, max_nodes=10)
    assert len(picture.snapshot.boxes) == 10
    assert "43 more named tensors have no path to it." in picture.source
