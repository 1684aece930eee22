"""Every page has one theme, with its pictures and the pages in its frames, and says what scrolls."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import Page
from browser import reader_or_skip


@pytest.fixture(scope="module")
def reader():
    found, driver = reader_or_skip()
    yield found
    driver.quit()


PICTURES = {
    "columns": lambda model: nn.draw(model, np.ones(3, np.float32)).svg(),
    "numbers": lambda model: nn.draw(model, np.ones(3, np.float32), numbers=True).svg(),
    "blocks": lambda _: nn.draw(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), np.ones((1, 5, 5), np.float32)).svg(),
    "chart": lambda _: nn.drawing.chart(
        {name: ([0, 1], [0, i]) for i, name in enumerate("abcd")}, x="x", y="y", points=[(0, 0, "here")]
    ),
}


def framed(folder):
    """A page with every picture, a table that is wide, and another page in a frame."""
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    pictures = "".join(f"<div class='network' id='{name}'>{made(model)}</div>" for name, made in PICTURES.items())
    table = f"<div class='scroll'><table><tr>{'<td>0.123456</td>' * 9}</tr></table></div>"
    inner = Page("inner", "<p>in a frame</p>", {})
    body = f"<main>{table}{pictures}{inner._repr_html_()}</main>"
    return Page("outer", body, {}, styles=[nn.Film.styles[0]]).save(folder / "framed.html")


LOOKS = """
const [root, id] = [document, arguments[0]];
return [...root.querySelectorAll(`#${id} svg *`)].filter((e) => !e.closest("defs") && !e.querySelector("*"))
  .map((e) => [e.getAttribute("fill"), e.getAttribute("stroke"), getComputedStyle(e).fill, getComputedStyle(e).stroke]);
"""


def rgb(written):
    return f"rgb({', '.join(str(int(written[i : i + 2], 16)) for i in (1, 3, 5))})"


def test_one_button_changes_the_page_its_pictures_and_the_pages_in_its_frames(reader, tmp_path):
    themes = """
        const inner = document.querySelector("iframe").contentDocument;
        return [document, inner].map((d) => [d.documentElement.dataset.theme, d.querySelectorAll(".theme").length]);
    """
    path = framed(tmp_path)
    reader.open(path, dark=True)
    reader.until(lambda: reader.run(themes) == [["dark", 1], ["dark", 0]])
    dark = {name: reader.run(LOOKS, name) for name in PICTURES}
    reader.click(".theme")
    reader.until(lambda: reader.run(themes) == [["light", 1], ["light", 0]])
    for name, before in dark.items():
        after = reader.run(LOOKS, name)
        assert len(after) == len(before) > 3
        for (fill, stroke, *old), (_, _, *new) in zip(before, after, strict=True):
            for written, was, now in zip((fill, stroke), old, new, strict=True):
                if written not in (None, "none", "#888888"):  # the tips of arrows are grey in both
                    assert was != now and now == rgb(written), (name, written)
    assert not reader.logged() and not reader.requested()


def test_what_is_wider_than_the_window_says_that_it_scrolls(reader, tmp_path):
    said = """return [...document.querySelectorAll(".scroll, .network")].map((e) =>
        [e.scrollWidth > e.clientWidth + 1, getComputedStyle(e, "::before").content.includes("Scroll sideways")]);"""
    path = framed(tmp_path)
    for width in (390, 1280):
        reader.open(path, width=width)
        reader.until(lambda: all(wider == told for wider, told in reader.run(said)))
        assert any(wider for wider, _ in reader.run(said)) == (width == 390)
        assert reader.overflows() <= 0
