"""Small graphs to draw, and readings of their pictures."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree

import numpy as np

from autograd import Tensor
from leaves import leaf


def boxes(picture):
    """{title: box}; a box without a title is named by its kind."""
    return {box.title or box.kind: box for box in picture.snapshot.boxes}


def arrows(picture):
    """[(title of the start, title of the end, slot)]"""
    found = picture.snapshot.boxes
    return sorted((found[a.start].title, found[a.end].title, a.slot) for a in picture.snapshot.arrows)


def words(svg):
    """Every piece of text in an SVG, as a reader sees it."""
    return ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


def small_network():
    """A layer, tanh and a sum of squares: (loss, {name: tensor})."""
    r = np.random.default_rng(0)
    w, b, x = leaf(*r.normal(size=(5, 3))), leaf(*np.zeros(5)), Tensor(r.normal(size=(4, 3)))
    h = np.tanh(x @ w.T + b)
    return (h**2).sum(), {"w": w, "b": b, "x": x, "h": h}


def without_renderers(monkeypatch, *packages):
    monkeypatch.setenv("PATH", "")
    for package in packages:
        monkeypatch.setitem(sys.modules, package, None)
