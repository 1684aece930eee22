"""Charts: every value is at its place, and no text covers another or leaves the picture."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from nn.drawing import chart
from nn.drawing.chart import BOTTOM, LEFT, LETTER, TOP

SVG = "{http://www.w3.org/2000/svg}"
x = np.linspace(0.0, 10.0, 21)
CASES = {
    "one curve": ({"": (x, np.sqrt(x))}, [(0, 0, "start"), (10, 10**0.5, "end")]),
    "a loss": ({"": (x[1:], -np.log(x[1:] / 10))}, [(5, 0.693, "before: 0.693"), (9.9, 0.01, "after: 0.010")]),
    "ends at one height": ({f"line {i}": (x, np.exp(-x) + 0.001 * i) for i in range(4)}, []),
    "ends at the bottom": ({"falls": (x, -x), "falls too": (x, -x), "rises": (x, x)}, [(0, 0, "[0.50, 0.50]")]),
    "flat": ({"still": (x, 0 * x)}, [(5, 0, "here")]),
    "beyond the limits": ({"far": (x, 1000 * x)}, [(0, 0, "in")]),
    "not finite": ({"gap": (x, np.where(x == 5, np.nan, x))}, []),
    "one epoch": ({"a": ([1], [0.5])}, [(1, 0.5, "the only one")]),
}  # fmt: skip


def parsed(name, **options):
    lines, points = CASES[name]
    if name == "beyond the limits":
        options["limits"] = (0, 10)
    return ET.fromstring(chart(lines, x="x", y="y", points=points, **options))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("size", [(360, 240), (640, 380)])
def test_every_line_and_point_is_there_and_no_text_covers_another(name, size):
    picture, (lines, points) = parsed(name, size=size), CASES[name]
    assert len(picture.findall(f"{SVG}svg/{SVG}path")) == len(lines)
    assert len(picture.findall(f"{SVG}circle")) == len(points)
    texts = [t for t in picture.findall(f"{SVG}text") if t.get("class") == "point" or t.text in lines]
    assert sorted(t.text for t in texts) == sorted([*filter(None, lines), *(text for *_, text in points)])
    boxes = [(float(t.get("x")), float(t.get("y")) - 10, 0.8 * LETTER * len(t.text), 10) for t in texts]
    for left, top, wide, high in boxes:
        assert left >= 0 and top >= 0 and left + wide <= size[0] and top + high <= size[1]
    for (a, b, c, d), (e, f, g, h) in itertools.combinations(boxes, 2):
        assert a + c <= e or e + g <= a or b + d <= f or f + h <= b


def test_values_are_at_their_places():
    picture = parsed("one curve", size=(464, 260))
    wide, high = 464 - LEFT - 14, 260 - TOP - BOTTOM
    numbers = np.array(re.findall(r"([\d.]+),([\d.]+)", picture.find(f"{SVG}svg/{SVG}path").get("d")), float)
    assert np.allclose(numbers[:, 0], wide * x / 10, atol=0.06)
    assert np.allclose(numbers[:, 1], high * (1 - np.sqrt(x / 10)), atol=0.06)
    dots = [(float(c.get("cx")), float(c.get("cy"))) for c in picture.findall(f"{SVG}circle")]
    assert np.allclose(dots, [(LEFT, TOP + high), (LEFT + wide, TOP)], atol=0.06)


def test_a_value_that_is_not_finite_leaves_a_gap():
    assert parsed("not finite").find(f"{SVG}svg/{SVG}path").get("d").count("M") == 2
    with pytest.raises(ValueError, match="finite"):
        chart({"nothing": ([1, 2], [np.nan, np.inf])}, x="x", y="y")


def test_names_are_text():
    hostile = "</text><script>"
    picture = chart({hostile: (x, x)}, x=hostile, y=hostile, points=[(1, 1, hostile)])
    assert "<script>" not in picture and ET.fromstring(picture) is not None
