"""nn.draw as blocks: every layer, its parameters, its shapes and its inputs are those of the call."""

from __future__ import annotations

import functools
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import nn
from autograd import no_grad
from layer_kinds import KINDS
from nn.drawing.block_svg import blocks_svg
from nn.drawing.blocks import MOST, blocks_of
from wirings import Wired, wirings

SVG = "{http://www.w3.org/2000/svg}"
SLIDE = 1600


def sources(picture, name):
    """The blocks with a name, and the inputs, from which data reaches the block `name` by ops alone."""
    blocks, found = picture.blocks, []
    waiting = [a for a, b in picture.links if (blocks[b].name or blocks[b].kind) == name]
    while waiting:
        place = waiting.pop()
        if blocks[place].kind in ("op",):
            waiting += [a for a, b in picture.links if b == place]
        else:
            found.append(blocks[place].name or blocks[place].kind)
    return {*found}


def results(made):
    return [y for part in made for y in results(part)] if isinstance(made, tuple | list) else [made]


@pytest.mark.parametrize("wires", wirings(2), ids=str)
def test_links_are_those_of_the_network(wires):
    nn.manual_seed(0)
    picture = blocks_of(Wired(wires), np.array([1.0, -1.0, 0.5], np.float32))
    names = ["input", *(f"layers.{i}" for i in range(2)), "output"]
    reached, waiting = set(), [2]
    while waiting:  # the layers that the output depends on
        i = waiting.pop()
        if i not in reached:
            reached.add(i)
            waiting += [j - 1 for j in wires[i] if j]
    for i in reached:
        assert sources(picture, names[i + 1]) == {names[j] for j in wires[i]}
    assert {block.name for block in picture.blocks if block.name} == {names[i + 1] for i in reached - {2}}


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_parameters_of_every_kind_of_layer(kind):
    layer, inputs = KINDS[kind].layer(), KINDS[kind].inputs()
    inputs = inputs[:1] if "LSTM" in kind else inputs
    picture = blocks_of(layer.eval(), *inputs)
    first, last = picture.blocks[: len(inputs)], picture.blocks[-1]
    assert [block.shapes for block in first] == [[x.shape] for x in inputs]
    assert last.shapes == [np.shape(y) for y in results(layer(*inputs))]
    assert sum(block.parameters for block in picture.blocks) == sum(p.size for p in layer.parameters())
    assert not any("was not recorded" in remark for remark in picture.remarks)
    root = ElementTree.fromstring(nn.draw(layer, *inputs).svg())
    assert float(root.get("width")) <= SLIDE and float(root.get("height")) <= SLIDE
    links = {
        tuple(map(int, path.get("data-ends").split())) for path in root.iter(f"{SVG}path") if path.get("data-ends")
    }
    assert links == {*picture.links} and {b for _, b in links} | {*range(len(inputs))} == {*range(len(picture.blocks))}


def test_channels_steps_and_folding_are_told():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 2))
    picture = nn.draw(model, np.ones((1, 8, 8), np.float32), names=["cat", "dog"])  # a batch axis is added
    assert [block.channels for block in picture.blocks.blocks] == [0, 8, 0, 8, 0, 0, 0]
    assert "8 ch" in picture.svg() and "1x8x6x6" in picture.svg() and "output: cat, dog" in picture.svg()
    assert repr(picture) == "<picture of a network: 7 blocks>"
    steps = blocks_of(nn.GRU(4, 3, batch_first=True), np.ones((2, 5, 4), np.float32)).blocks[1].steps
    assert steps == 5 and "5 steps" in blocks_svg(blocks_of(nn.GRU(4, 3), np.ones((5, 4), np.float32)))
    rows = nn.draw(nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU()))
    assert [b.title for b in rows.blocks.blocks] == ["input", "Conv2d(1 -> 8, 3x3)", "ReLU", "output"]
    assert "Pass a sample= to see shapes." in rows.blocks.remarks


class Tied(nn.Module):
    """An embedding whose weight is also that of the last layer."""

    def __init__(self):
        self.embed, self.mix, self.head = nn.Embedding(7, 4), nn.Linear(4, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight
        self.scale = nn.Parameter(np.ones(4, np.float32))

    def forward(self, tokens):
        h = self.embed(tokens)
        return self.head(self.mix(self.mix(h)) * self.scale + h)


def test_tied_weights_count_once_and_are_named():
    picture = blocks_of(Tied(), np.array([1, 2, 3]))
    by = {(b.name or b.title): b for b in picture.blocks}
    assert by["head"].shared == ["embed"] and by["head"].parameters == 0 and by["embed"].parameters == 28
    mixes = [block for block in picture.blocks if block.name == "mix"]
    assert [(b.parameters, b.shared) for b in mixes] == [(20, []), (0, ["mix"])]
    assert by["multiply"].parameters == 4
    assert sources(picture, "embed") == {"input"} and sources(picture, "head") == {"mix", "embed"}
    assert "shares those of embed" in blocks_svg(picture)


def test_what_was_not_recorded_is_told():
    class Detached(nn.Module):
        def __init__(self):
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            with no_grad():
                h = self.a(x)
            return self.b(h)

    picture = blocks_of(Detached(), np.zeros(2, np.float32))
    assert picture.remarks == [
        "Without a recorded part in the output: a.weight, a.bias.",
        "What b reads is constant, or its origin was not recorded.",
    ]
    assert sources(picture, "b") == set()


@pytest.mark.parametrize("count", [3, 22, 23, 60])
def test_a_long_row_folds_in_the_middle_and_says_so(count):
    nn.manual_seed(0)
    model = nn.Sequential(*[nn.Conv1d(2, 2, 1) for _ in range(count)])
    for picture in (blocks_of(model), blocks_of(model, np.ones((2, 5), np.float32))):
        blocks = picture.blocks
        assert len(blocks) == min(count + 2, MOST)
        assert sum(block.parameters for block in blocks) == 6 * count
        assert picture.links == [(i, i + 1) for i in range(len(blocks) - 1)]
        folded = [block.title for block in blocks if block.kind == "folded"]
        inside = count + 2 - MOST + 1
        assert folded == ([f"{inside} blocks: {inside} Conv1d"] if count + 2 > MOST else [])
        assert bool(folded) == any(f"{inside} of {count + 2} blocks" in remark for remark in picture.remarks)


def test_inner_modules_fold_before_the_middle_does():
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8), 4)
    picture = blocks_of(model, np.ones((3, 1, 4), np.float32))
    kinds = [block.kind for block in picture.blocks]
    assert kinds == ["input", *["folded"] * 4, "output"] and "Folded, with layers inside" in picture.remarks[0]
    assert sum(block.parameters for block in picture.blocks) == sum(p.size for p in model.parameters())
    assert functools.reduce(max, (b for _, b in picture.links)) == 5


def test_parameters_that_take_no_part_are_named():
    class Part(nn.Module):
        def __init__(self):
            self.a, self.unused = nn.Conv1d(3, 3, 1), nn.Conv1d(3, 9, 1)

        def forward(self, x):
            return self.a(x)

    sample, said = np.zeros((2, 3, 4), np.float32), "Without a recorded part in the output: unused.weight, unused.bias."
    assert any(said in text for text in blocks_of(Part(), sample).remarks)
    assert not any("Without" in text for text in blocks_of(nn.Conv1d(3, 3, 1), sample).remarks)
