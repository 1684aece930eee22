"""Snapshots of graphs: boxes and arrows, values, gradients and modules."""

from __future__ import annotations

import numpy as np
import pytest

import nn
from autograd import GraphError, Tensor, draw, enable_grad, watch
from autograd.drawing.array_summary import summarise
from autograd.drawing.dot import penwidth
from autograd.drawing.snapshot import NO_PATH, NOT_TRACKED, NOT_YET, OTHER, UNSEEN
from graphs import arrows, boxes, leaf, small_network, words

# ---- boxes and arrows


def test_an_op_and_its_output_are_one_box_and_each_operand_slot_is_an_arrow():
    x = leaf(3.0, name="x")
    picture = draw(x * x)
    assert arrows(picture) == [("x", "multiply", 0), ("x", "multiply", 1)]
    assert sorted(box.kind for box in picture.snapshot.boxes) == ["loss", "parameter"]
    assert repr(picture) == "<picture of multiply: 2 boxes, 2 arrows>"


def test_kinds_of_boxes():
    loss, names = small_network()
    found = boxes(draw(np.sqrt(loss), names=names))
    kinds = {title: box.kind for title, box in found.items()}
    assert kinds == {
        "w": "parameter",
        "b": "parameter",
        "x": "input",
        "transpose": "op",
        "matmul": "op",
        "h = tanh": "op",
        "power": "op",
        "sum": "op",
        "add": "op",
        "sqrt": "loss",
        "constant": "constant",
    }
    assert found["x"].shape == (4, 3) and found["x"].gradient == NOT_TRACKED


def test_kinds_differ_by_outline_and_by_word_before_colour():
    source = draw(leaf(1.0, name="w") * np.arange(3.0) + 2.0).source
    lines = {
        kind: next(line for line in source.splitlines() if f">{kind}" in line) for kind in ("parameter", "constant")
    }
    assert "style=bold" in lines["parameter"] and "#0072B2" in lines["parameter"]
    assert "style=dashed" in lines["constant"]
    assert "style=rounded" in next(line for line in source.splitlines() if "multiply" in line)
    loss = next(line for line in source.splitlines() if ">output" in line)
    assert "peripheries=2" in loss and "#D55E00" in loss


def test_numbers_get_a_box_for_each_use_and_arrays_one_for_all():
    x, array = leaf(1.0, name="x"), np.arange(3.0)
    picture = draw((2.0 * x + 2.0 * x) * array + array)
    constants = [box for box in picture.snapshot.boxes if box.kind == "constant"]
    assert sorted(box.value.lines for box in constants if box.value and not box.shape) == [("2",), ("2",)]
    with watch():
        loss = x * array + array
    assert sum(box.kind == "constant" for box in draw(loss).snapshot.boxes) == 1


def test_an_operand_that_was_left_out_has_no_box():
    with watch():
        loss = np.clip(leaf(1.0, name="x"), None, 2.0)
    assert sorted(box.kind for box in draw(loss).snapshot.boxes) == ["constant", "loss", "parameter"]


def test_names_come_from_a_dict_a_module_or_the_tensor():
    class Module:
        def named_parameters(self):
            yield "layer.weight", w

    w = leaf(1.0, name="own")
    assert "own" in boxes(draw(w * 2.0))
    assert "given" in boxes(draw(w * 2.0, names={"given": w}))
    assert "layer.weight" in boxes(draw(w * 2.0, names=Module()))
    y = w * 2.0
    y.name = "prediction"
    assert "prediction = multiply" in boxes(draw(y))


def test_a_loss_that_is_a_leaf_is_one_box():
    assert [box.kind for box in draw(leaf(1.0)).snapshot.boxes] == ["loss"]


def test_params_of_the_op_are_shown():
    assert "sum axis=0" in boxes(draw(leaf(1.0, 2.0).sum(axis=0)))


# ---- values


def test_values_are_those_of_the_forward_pass_even_if_no_node_kept_them():
    x = leaf(1.0, 2.0, name="x")
    found = boxes(draw(np.exp(-(x + x)).sum()))  # the rules of add and negative read nothing
    assert found["add"].value.lines == ("[2, 4]",)
    assert found["negative"].value.lines == ("[-2, -4]",)


def test_a_lost_value_is_not_invented():
    x = leaf(1.0, name="x")
    y = x + np.ones(1)  # add keeps neither its inputs nor its output
    picture = draw(y + 1.0)
    assert boxes(picture)["constant"].value is None
    assert any("not kept" in line for line in words(picture.svg()))


def test_a_replaced_leaf_shows_the_value_that_was_used_or_none():
    x, y = leaf(2.0, name="x"), leaf(3.0, name="y")
    loss = np.sin(y) - x * 1.0
    x.assign(20.0)
    y.assign(30.0)
    found = boxes(draw(loss))
    assert found["y"].value.lines == ("3",)
    assert found["x"].value is None
    assert found["multiply"].value is None  # not computed again from the new value


def test_summaries():
    assert summarise(np.array([1.5, -2.0])).lines == ("[1.5, -2]",)
    assert summarise(np.zeros((0, 3))).lines == ("empty",)
    assert summarise(np.ones((3, 4))).lines == ("all 1",)
    assert summarise(np.full(8, np.nan)).lines == ("no finite element",)
    assert summarise(1.00001).lines == ("1.00001",)
    assert summarise(np.array([True, False])).lines == ("[True, False]",)
    large = summarise(np.array([0.0] * 3 + [1.0, 2.0, np.inf, np.nan, 3.0]))
    assert large.lines == ("mean 1, std 1.155", "range 0 to 3, zeros 38%") and large.nonfinite == 2
    assert summarise(np.full(8, 60000, np.float16)).rms == 60000
    assert "<1%" in summarise(np.arange(1000.0)).lines[1]
    assert "99%" in summarise(np.eye(1, 1000)).lines[1]


def test_non_finite_numbers_are_counted_in_red():
    x = leaf(1.0, np.nan, np.inf, name="x")
    source = draw((x * 2.0).sum(), run_backward=True).source
    assert "<FONT COLOR='#C00000'><B>2 non-finite</B></FONT>" in source
    with np.errstate(all="ignore"):
        loss = np.sqrt(leaf(0.0, name="x") * 1.0)
    assert 'label="non-finite"' in draw(loss, run_backward=True).source


# ---- gradients


def test_four_states_of_a_gradient():
    x, unused, constant = leaf(3.0, name="x"), leaf(1.0), Tensor(5.0)
    names = {"unused": unused, "constant": constant}
    loss = x * constant
    before = boxes(draw(loss, names=names))
    assert before["x"].gradient == before["multiply"].gradient == NOT_YET
    assert before["unused"].gradient == NO_PATH
    assert before["constant"].gradient == NOT_TRACKED
    after = boxes(draw(loss, names=names, run_backward=True))
    assert after["x"].gradient.lines == ("5",) and not after["x"].accumulated
    shown = words(draw(loss, names=names).svg())
    assert {NOT_YET, NO_PATH, NOT_TRACKED} <= set(shown) and "0" not in shown


def test_a_gradient_that_is_zero_is_a_value():
    x = leaf(0.0, name="x")
    assert boxes(draw(x * x, run_backward=True))["x"].gradient.lines == ("0",)


def test_run_backward_changes_no_grad_and_keeps_the_graph():
    loss, names = small_network()
    draw(loss, names=names, run_backward=True)
    assert names["w"].grad is None
    loss.backward()
    assert names["w"].grad is not None


def test_run_backward_needs_one_number():
    with pytest.raises(ValueError, match=r"run_backward=True needs a loss of one element.*\(2,\)"):
        draw(leaf(1.0, 2.0) * 2.0, run_backward=True)


def test_watched_pictures_outlive_backward():
    with watch():
        loss, names = small_network()
        loss.backward()
    assert loss.node.edges is None
    found = boxes(draw(loss, names=names))
    for name in ("w", "b"):
        assert found[name].gradient.lines == summarise(names[name].grad.data).lines
        assert found[name].value == summarise(names[name].data)
    assert found["h = tanh"].value == summarise(names["h"].data)
    assert found["h = tanh"].gradient.lines == summarise(2 * names["h"].data).lines
    assert found["constant"].value.lines == ("2",)
    assert [found[t].order for t in ("sum", "power", "h = tanh", "add", "matmul", "transpose")] == [1, 2, 3, 4, 5, 6]


def test_watching_changes_no_gradient_and_shares_no_memory_with_it():
    plain, watched = leaf(1.0, 2.0), leaf(1.0, 2.0)
    (np.exp(plain) * plain).sum().backward()
    with watch():
        loss = (np.exp(watched) * watched).sum()
        loss.backward()
    assert np.array_equal(plain.grad.data, watched.grad.data)
    shown = boxes(draw(loss))["parameter"].gradient
    watched.grad.data[...] = 0
    assert boxes(draw(loss))["parameter"].gradient == shown


def test_the_gradient_of_this_loss_is_distinct_from_the_accumulated_one():
    x = leaf(3.0, name="x")
    with watch():
        loss = x * x
        loss.backward()
        (x * 10.0).backward()
    assert x.grad.item() == 16
    assert boxes(draw(loss))["x"].gradient.lines == ("6",)
    box = boxes(draw(x * 5.0))["x"]
    assert box.accumulated and box.gradient.lines == ("16",)
    assert ".grad" in words(draw(x * 5.0).svg())


def test_arrows_carry_the_share_of_each_slot():
    x, y = leaf(2.0, name="x"), leaf(5.0, name="y")
    with watch():
        loss = x * y
        loss.backward()
    picture = draw(loss)
    assert [arrow.gradient.lines for arrow in picture.snapshot.arrows] == [("5",), ("2",)]
    assert picture.source.count("dir=back") == 2
    assert "dir=back" not in draw(x * y).source


def test_arrows_are_wider_for_larger_gradients():
    widths = [penwidth(size, 100.0) for size in (0.0, 1e-9, 1e-3, 1.0, 100.0)]
    assert widths == sorted(widths) and widths[0] == widths[1] < widths[2] < widths[3] < widths[4]


def test_watching_may_begin_after_the_forward_pass():
    x = leaf(3.0, name="x")
    loss = np.exp(x * 2.0)
    with watch():
        loss.backward()
    found = boxes(draw(loss))
    assert found["x"].gradient.lines == (f"{x.grad.item():.4g}",)
    assert found["exp"].gradient.lines == ("1",)


def test_unwatched_gradients_and_those_of_another_walk_are_not_shown():
    x = leaf(3.0, name="x")
    with watch():
        loss = np.exp(x * 2.0)
    loss.backward()
    assert boxes(draw(loss))["exp"].gradient == UNSEEN
    with watch():
        newer = np.exp(x * 3.0)
    assert boxes(draw(newer))["exp"].gradient == NOT_YET  # the gradient of x is that of the other graph
    with watch():
        shared = x * 2.0
        first, second = np.exp(shared), np.sin(shared)
        first.backward(retain_graph=True)
        second.backward(retain_graph=True)
    assert boxes(draw(first))["multiply"].gradient == OTHER
    assert boxes(draw(second))["multiply"].gradient == summarise(np.cos(6.0))
    again = boxes(draw(first, run_backward=True))
    assert again["multiply"].gradient == summarise(np.exp(6.0))


def test_gradients_that_are_recorded_themselves_can_be_drawn():
    x = leaf(2.0, name="x")
    with watch():
        y = x**3
        y.backward(create_graph=True)
    picture = draw(x.grad, run_backward=True)
    assert boxes(picture)["x"].gradient.lines == ("12",)
    assert boxes(draw(y))["power"].gradient.lines == ("1",)
    assert isinstance(y.node.note.gradient, np.ndarray)  # a Tensor would keep the graph of the gradient alive


def test_an_error_for_a_graph_that_was_freed_unwatched_says_what_to_do():
    x = leaf(3.0)
    loss = x * x
    loss.backward()
    with pytest.raises(GraphError, match=r"was freed by backward.*with autograd\.watch\(\):.*retain_graph=True"):
        draw(loss)


def test_what_cannot_be_drawn():
    with pytest.raises(GraphError, match="no graph to draw"):
        draw(Tensor(1.0))
    with pytest.raises(TypeError, match="takes a loss Tensor; got float"):
        draw(1.0)
    with pytest.raises(TypeError, match="got list"):
        draw(leaf(1.0), names=[1])
    with pytest.raises(TypeError, match="got ndarray for 'x'"):
        draw(leaf(1.0), names={"x": np.ones(2)})
    with pytest.raises(ValueError, match="rankdir is LR, RL, TB or BT"):
        draw(leaf(1.0), rankdir="up")
    with pytest.raises(ValueError, match="max_nodes"):
        draw(leaf(1.0), max_nodes=1)


# ---- modules


def nested_loss(watched=True):
    nn.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Linear(4, 4), nn.Tanh()), nn.Linear(4, 1))
    x = Tensor(np.ones((2, 3), np.float32), name="x")
    with watch() if watched else enable_grad():
        loss = model(x).sum()
        loss.backward(retain_graph=True)
    return model, loss


def test_every_call_of_a_module_is_a_frame_around_its_boxes():
    model, loss = nested_loss()
    picture = draw(loss, names=model)
    titles = [call.title for call in picture.snapshot.calls]
    assert titles == [
        "Sequential",
        "0 Linear(3 -> 4)",
        "1 Sequential",
        "0 Linear(4 -> 4)",
        "1 Tanh",
        "2 Linear(4 -> 1)",
    ]
    homes = {title: box.call for title, box in boxes(picture).items()}
    assert homes["1.0.weight"] == 3 and homes["tanh"] == 4 and homes["0.bias"] == 1
    assert homes["x"] is None and homes["sum"] is None
    assert picture.snapshot.calls[3].parent == 2 and picture.snapshot.calls[3].path == "1.0"
    source = picture.source
    assert source.count("subgraph cluster_") == 6
    assert {"0 Linear(3 -> 4)", "1 Tanh"} <= set(words(picture.svg()))


def test_depth_folds_modules_and_expand_opens_them():
    model, loss = nested_loss()
    outer = draw(loss, names=model, depth=0)
    assert sorted(boxes(outer)) == ["Sequential", "sum", "x"]
    assert "use expand= or max_nodes= to see more" in outer.source
    picture = draw(loss, names=model, depth=1)
    assert {"0 Linear(3 -> 4)", "1 Sequential", "2 Linear(4 -> 1)"} <= boxes(picture).keys()
    assert boxes(picture)["1 Sequential"].notes == ("1 linear", "1 tanh", "with 20 parameters in 2 tensors")
    opened = draw(loss, names=model, depth=0, expand="1")
    assert {"0 Linear(3 -> 4)", "0 Linear(4 -> 4)", "1 Tanh"} <= boxes(opened).keys()
    with pytest.raises(ValueError, match="no module of this graph is called 'nothing'; its modules are"):
        draw(loss, expand=["nothing"])
    with pytest.raises(ValueError, match="depth is 0 or more"):
        draw(loss, depth=-1)


def test_gradients_cross_the_walls_of_folded_modules():
    model, loss = nested_loss()
    picture = draw(loss, names=model, depth=1)
    assert all(arrow.gradient for arrow in picture.snapshot.arrows if picture.snapshot.boxes[arrow.start].title != "x")


def test_above_max_nodes_the_innermost_modules_fold_first():
    nn.manual_seed(0)
    deep = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.ReLU()) for _ in range(30)))
    with watch():
        loss = deep(np.ones((1, 2), np.float32)).sum()
    picture = draw(loss, names=deep, max_nodes=70)
    assert len(picture.snapshot.boxes) <= 70 and "0 Linear(2 -> 2)" in boxes(picture)
    picture = draw(loss, names=deep, max_nodes=40)
    assert {"0 Sequential", "29 Sequential"} <= boxes(picture).keys()
    assert len(draw(loss, names=deep, max_nodes=4).snapshot.boxes) <= 4


def test_a_module_that_is_called_twice_is_two_frames_and_folds_without_a_cycle():
    nn.manual_seed(0)
    cell = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    x = np.ones((1, 2), np.float32)
    with watch():
        loss = (cell(cell(x) + 1.0) * 2.0).sum()
    picture = draw(loss, names=cell, depth=0)
    assert [box.title for box in picture.snapshot.boxes].count("Sequential") == 2


def test_without_a_watch_there_are_no_frames_and_the_caption_says_why():
    model, loss = nested_loss(watched=False)
    picture = draw(loss, names=model, run_backward=True)
    assert not picture.snapshot.calls and "Modules not known" in picture.source
    assert "Modules not known" in picture.page().text
    assert boxes(draw(loss, names=model))["sum"].gradient == UNSEEN
    assert "Modules not known" not in draw(loss).source
    with pytest.raises(ValueError, match=r"knows no modules: compute the loss inside `with watch\(\):`"):
        draw(loss, names=model, expand="0")
