"""A picture is the recorded graph: from its data, or its DOT text, one can rebuild every op and operand."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

import autograd
import nn
from autograd import Tensor, draw, watch
from autograd.drawing.array_summary import summarise
from autograd.graph import Leaf, Node
from autograd.mode import Observer, Switch
from graphs import boxes, leaf
from large_graphs import SHAPES
from programs import Program

SEEDS = range(12)


class Part(nn.Module):
    """A program as a module; it notes which calls are under way."""

    running: tuple[int, ...] = ()
    count = 0

    def __init__(self, program, *inner):
        self.program, self.inner = program, nn.ModuleList(inner)

    def forward(self, *inputs):
        before, Part.count = Part.running, Part.count + 1
        Part.running = (*before, Part.count)
        try:
            total = self.program(*inputs)
            for part in self.inner:
                total = part(*inputs) + part(*inputs) * total  # two calls in a row
            return total
        finally:
            Part.running = before


class Calls(Observer):
    """The calls around every op, found without a picture."""

    def __init__(self):
        self.of = {}

    def forward(self, node, data, arrays, inputs):
        self.of[node.number] = Part.running


def recorded(loss):
    """{(number of a node, slot): its input, as a node's number, a leaf, or "constant"} by a walk, and the nodes."""
    found, waiting, seen = {}, [loss.node], set()
    while waiting:
        node = waiting.pop()
        if node in seen or node.__class__ is Leaf:
            continue
        seen.add(node)
        for slot, (edge, array) in enumerate(zip(node.edges, node.kept[1:], strict=True)):
            if edge is not None or getattr(array, "shape", array) is not None:  # else the operand was None
                found[node.number, slot] = edge.number if edge.__class__ is Node else edge or "constant"
        waiting += [edge for edge in node.edges if edge is not None]
    return found, {node.number: node for node in seen}


def drawn(picture, names):
    """As `recorded`, but read from the boxes and arrows."""
    found, leaves = {}, {name: tensor.node for name, tensor in names.items()}
    for arrow in picture.snapshot.arrows:
        start, end = picture.snapshot.boxes[arrow.start], picture.snapshot.boxes[arrow.end]
        assert arrow.count == 1 and (end.number, arrow.slot) not in found
        found[end.number, arrow.slot] = start.number or leaves.get(start.title) or "constant"
        assert (start.kind in ("constant", "input")) == (found[end.number, arrow.slot] == "constant")
    return found


def written(picture):
    """{(box, slot): box}, read from the DOT text; the copies of a box are found by the number that they share."""
    labels = dict(re.findall(r"^\s*([bc]\w+) \[label=(<.*>) \w", picture.source, re.M))
    heads = {name: re.sub(r"<TD ALIGN='LEFT'( VALIGN='TOP')?>.*", "", text) for name, text in labels.items()}
    mark = {name: (re.findall(r"\((\d+)\)", head) or [""])[-1] for name, head in heads.items()}
    original = {mark[name]: name for name in labels if name[0] == "b"}
    found = {}
    for start, end, rest in re.findall(r"^\s*([bc]\w+) -> (b\d+)(.*)$", picture.source, re.M):
        if "dir=back" in rest:
            continue
        slot = re.match(r":i(\d+)", rest)
        start = original[mark[start]] if start[0] == "c" else start
        found[int(end[1:]), int(slot[1]) - 1 if slot else 0] = int(start[1:])
    return found


def made(seed, *, modules, watched):
    """A loss, its leaves by name, and the calls around its ops."""
    names = {}
    with watch() if watched else Switch():
        program = Program(seed, length=25)
        inputs = [Tensor(x, requires_grad=True, name=f"leaf {i}") for i, x in enumerate(program.inputs)]
        names = {x.name: x for x in inputs}
        seen = Calls()
        with Switch(observer=seen):
            loss = (Part(program, Part(program, Part(program))) if modules else program)(*inputs)
    return loss * 1.0 if loss.is_leaf else loss, names, seen.of


@pytest.mark.parametrize("run_backward", [False, True])
@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("modules", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_picture_holds_every_op_and_every_operand(seed, modules, watched, run_backward):
    loss, names, around = made(seed, modules=modules, watched=watched)
    truth, nodes = recorded(loss)
    picture = draw(loss, run_backward=run_backward, max_nodes=5000)
    assert drawn(picture, names) == truth
    ops = {box.number: box.title for box in picture.snapshot.boxes if box.kind in ("op", "loss")}
    assert ops.keys() == nodes.keys()
    assert all(title.rpartition(" = ")[2].split()[0] == nodes[i].op.name for i, title in ops.items())
    assert written(picture) == {(arrow.end, arrow.slot): arrow.start for arrow in picture.snapshot.arrows}
    frames = {box.number: box.call for box in picture.snapshot.boxes if box.number}
    if watched:
        groups = {}
        for number, call in frames.items():
            groups.setdefault(call, set()).add(around[number])
        assert all(len(calls) == 1 for calls in groups.values())
        assert len(groups) == len({around[number] for number in frames})
    else:
        assert set(frames.values()) == {None}
    if run_backward:
        loss.backward()
        shown = boxes(picture)
        for name, tensor in names.items():
            if tensor.grad is not None:
                assert shown[name].gradient == summarise(tensor.grad.data)


@pytest.mark.parametrize("shape", sorted(SHAPES.keys() - {"parallel"}))
def test_a_graph_of_any_shape_can_be_read_from_its_dot_text(shape):
    picture = draw(SHAPES[shape](40), run_backward=True, max_nodes=2000)
    assert not picture.snapshot.folded
    assert written(picture) == {(arrow.end, arrow.slot): arrow.start for arrow in picture.snapshot.arrows}


@pytest.mark.parametrize("modules", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_folded_picture_counts_every_operand_of_what_it_shows(seed, modules):
    loss, names, _ = made(seed, modules=modules, watched=modules)
    _, nodes = recorded(loss)
    whole = draw(loss, max_nodes=5000)
    for room in (6, 12, len(whole.snapshot.boxes) - 1):
        picture = draw(loss, names=names, max_nodes=max(4, room))
        snapshot = picture.snapshot
        slots = Counter()
        for arrow in snapshot.arrows:
            slots[snapshot.boxes[arrow.end].number] += arrow.count
        whole_slots = Counter(end for end, _ in drawn(whole, names))
        for box in snapshot.boxes:
            if box.kind in ("op", "loss"):
                assert slots[box.number] == whole_slots[box.number]
        folded = [line for box in snapshot.boxes if box.kind == "folded" for line in box.notes]
        hidden = Counter(node.op.name for node in nodes.values())
        hidden -= Counter(nodes[box.number].op.name for box in snapshot.boxes if box.kind in ("op", "loss"))
        told = Counter()
        for count, name in (line.split(" ", 1) for line in folded if not line.startswith("with")):
            told[name if name in hidden else "others"] += int(count)
        assert sum(told.values()) == sum(hidden.values()) and all(told[n] <= hidden[n] for n in told if n != "others")


def test_a_penalty_on_weights_is_not_drawn_as_a_call():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    x = np.ones((1, 2), np.float32)
    with watch():
        watched = model(x).sum() + (model[0].weight ** 2).sum()
    calls = draw(watched, names=model).snapshot.calls
    assert [call.title for call in calls].count("Sequential") == 1
    unwatched = model(x).sum() + (model[0].weight ** 2).sum()
    assert not draw(unwatched, names=model, run_backward=True).snapshot.calls


def test_a_module_called_in_a_row_is_a_frame_for_each_call():
    nn.manual_seed(0)
    layer = nn.Linear(2, 2)
    with watch():
        loss = layer(layer(layer(np.ones((1, 2), np.float32)))).sum()
    assert [call.title for call in draw(loss).snapshot.calls] == ["Linear(2 -> 2)"] * 3


def test_a_hook_is_in_the_frame_of_its_call():
    nn.manual_seed(0)
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda module, inputs, output: output * 2.0)
    with watch():
        loss = layer(layer(leaf(1.0, 1.0))).sum()
    calls = draw(loss).snapshot.calls
    assert len(calls) == 2


def test_a_folded_box_counts_numbers_and_tensors():
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 1))
    with watch():
        loss = model(np.ones((1, 64), np.float32)).sum()
    total = sum(p.data.size for p in model.parameters())
    (box,) = [box for box in draw(loss, names=model, depth=0).snapshot.boxes if box.kind == "folded"]
    assert f"with {total:,} parameters in 4 tensors" in box.notes


def test_a_constant_keeps_its_name_without_a_watch():
    x, w = Tensor(np.ones((2, 3)), name="x"), leaf([1.0, 2.0, 3.0], name="w")
    scale = Tensor(2.0, name="scale")
    found = boxes(draw(np.tanh(x @ w.T) * scale))
    assert found["x"].kind == found["scale"].kind == "input"
    other = autograd.as_tensor(x.data)
    other.name = "y"
    assert "x" not in boxes(draw((x @ w.T).sum()))  # two names: neither is known to be the one


def test_an_omitted_operand_has_no_box_without_a_watch():
    bound = boxes(draw(np.clip(leaf(1.0, name="x"), None, 2.0)))
    assert sorted(box.kind for box in bound.values()) == ["constant", "loss", "parameter"]


def test_the_gradients_of_a_complex_graph_are_those_of_backward():
    z = leaf(1 + 2j, 3 - 1j, dtype=complex, name="z")
    with watch():
        loss = np.real(np.sum(np.exp(z) * (2 + 1j) * z))
        picture = draw(loss, run_backward=True)
        steps = autograd.trace(loss)
        loss.backward()
    expected = summarise(z.grad.data)
    assert boxes(picture)["z"].gradient == boxes(draw(loss))["z"].gradient == expected
    assert summarise(steps[-1].total) == expected


def test_gradients_of_a_walk_that_began_elsewhere_are_not_those_of_this_loss():
    x = leaf(3.0, name="x")
    with watch():
        shared = np.exp(x)
        loss = shared * 2.0
        (loss / 4.0 + shared).backward()
    found = boxes(draw(loss))
    assert "began at another tensor" in found["exp"].gradient
    assert found["x"].accumulated
    with watch():
        loss = np.exp(x) * 2.0
        loss.backward(np.array(10.0), retain_graph=True)
    assert boxes(draw(loss))["multiply"].gradient.lines == ("10",)
    assert "with the gradient that backward() was given" in draw(loss).page().text
    assert boxes(draw(loss, run_backward=True))["multiply"].gradient.lines == ("1",)
