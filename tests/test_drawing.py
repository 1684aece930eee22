"""Pictures: what a snapshot says, how it is written as DOT, and what happens where nothing can lay it out."""

from __future__ import annotations

import importlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import autograd
from autograd import GraphError, Tensor, draw, watch
from autograd.drawing import RendererError
from autograd.drawing.dot import penwidth, to_dot
from autograd.drawing.snapshot import NO_PATH, NOT_TRACKED, NOT_YET, OTHER, UNSEEN
from autograd.drawing.summary import summarise


def leaf(*numbers, name=None):
    return Tensor(np.array(numbers) if len(numbers) != 1 else numbers[0], requires_grad=True, dtype=float, name=name)


def boxes(picture):
    """{title: box}; a box without a title goes by its kind."""
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


def test_params_of_the_op_are_said():
    assert "sum axis=0" in boxes(draw(leaf(1.0, 2.0).sum(axis=0)))


# ---- values


def test_values_are_those_of_the_forward_pass_also_where_no_node_kept_them():
    x = leaf(1.0, 2.0, name="x")
    found = boxes(draw(np.exp(-(x + x)).sum()))  # the rules of add and negative read nothing
    assert found["add"].value.lines == ("[2, 4]",)
    assert found["negative"].value.lines == ("[-2, -4]",)


def test_a_value_that_is_nowhere_is_not_invented():
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
    assert large.lines == ("mean 1, spread 1.155", "range 0 to 3, zeros 38%") and large.nonfinite == 2
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
        assert found[name].gradient == summarise(names[name].grad.data)
        assert found[name].value == summarise(names[name].data)
    assert found["h = tanh"].value == summarise(names["h"].data)
    assert found["h = tanh"].gradient == summarise(2 * names["h"].data)
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


def test_the_gradient_of_this_loss_is_told_from_what_accumulated():
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


def test_gradients_that_nobody_saw_or_that_belong_to_another_walk_are_not_shown():
    x = leaf(3.0, name="x")
    with watch():
        loss = np.exp(x * 2.0)
    loss.backward()
    assert boxes(draw(loss))["exp"].gradient == UNSEEN
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


def test_a_graph_that_was_let_go_of_unwatched_says_what_to_do():
    x = leaf(3.0)
    loss = x * x
    loss.backward()
    with pytest.raises(GraphError, match=r"let go of by backward.*with autograd\.watch\(\):.*retain_graph=True"):
        draw(loss)


def test_what_cannot_be_drawn():
    with pytest.raises(GraphError, match="no graph to draw"):
        draw(Tensor(1.0))
    with pytest.raises(TypeError, match="the Tensor of a loss; got float"):
        draw(1.0)
    with pytest.raises(TypeError, match="got list"):
        draw(leaf(1.0), names=[1])
    with pytest.raises(TypeError, match="got ndarray for 'x'"):
        draw(leaf(1.0), names={"x": np.ones(2)})
    with pytest.raises(ValueError, match="rankdir is LR, RL, TB or BT"):
        draw(leaf(1.0), rankdir="up")
    with pytest.raises(ValueError, match="max_nodes"):
        draw(leaf(1.0), max_nodes=1)


# ---- large graphs


def long_chain(n):
    x = y = leaf(1.0, name="x")
    for _ in range(n // 2):
        y = y * 1.00001 + 0.5
    return x, y


def test_a_chain_of_a_hundred_thousand_ops_folds_and_says_so():
    x, loss = long_chain(100_000)
    picture = draw(loss, run_backward=True)
    found = boxes(picture)
    assert len(picture.snapshot.boxes) <= 300
    folded = next(box for box in picture.snapshot.boxes if box.kind == "folded")
    shown = sum(box.kind in ("op", "loss") for box in picture.snapshot.boxes)
    assert folded.title == f"{100_000 - shown:,} ops"
    assert any(line.endswith(" multiply") for line in folded.notes)
    assert "boxes are one box here" in picture.source
    loss.backward()
    assert found["x"].gradient == summarise(x.grad.data)
    assert any(line == folded.title for line in words(picture.svg()))


def test_a_watched_chain_is_drawn_after_backward_and_freed():
    with watch():
        x, loss = long_chain(100_000)
        loss.backward()
    picture = draw(loss)
    assert boxes(picture)["x"].gradient == summarise(x.grad.data)
    del loss
    assert "multiply" in picture.source


def test_max_nodes_is_all_that_folds():
    _, loss = long_chain(1_000)
    picture = draw(loss, max_nodes=10_000)
    assert len(picture.snapshot.boxes) == 2_001
    assert not picture.snapshot.folded
    for room in (4, 5, 17, 100):
        assert len(draw(loss, max_nodes=room).snapshot.boxes) <= room


@pytest.mark.parametrize("pinned", [slice(10), slice(40, 60)])
def test_a_folded_picture_has_no_cycle(pinned):
    x, weights = leaf(1.0, name="x"), [leaf(1.0 + i) for i in range(60)]
    y = x
    for w in weights:
        y = np.tanh(y * w) + x
    names = {"x": x} | {f"w{i}": w for i, w in enumerate(weights[pinned])}
    picture = draw(y, names=names, max_nodes=40)
    inputs = {i: set() for i in range(len(picture.snapshot.boxes))}
    for arrow in picture.snapshot.arrows:
        inputs[arrow.end].add(arrow.start)
    while inputs:
        free = [i for i, needs in inputs.items() if not needs & inputs.keys()]
        assert free
        for i in free:
            del inputs[i]
    assert any(arrow.count > 1 for arrow in picture.snapshot.arrows)


def test_names_pin_leaves_when_a_graph_folds():
    many = [leaf(float(i)) for i in range(100)]
    y = many[0]
    for x in many[1:]:
        y = y * x
    assert "pinned" in boxes(draw(y, names={"pinned": many[50]}, max_nodes=20))


# ---- text and files

HOSTILE = [
    "</text><script>alert(1)</script>",
    '"quoted" \\N \\G \\\\ back\\',
    "a & b &amp; <b>c</b>",
    "]; b0 -> b1 [label=x]",
    "<TABLE>",
    "naïve 権重 'w'",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_text(name):
    x = leaf(1.0, 2.0, name=name)
    svg = draw((x * x).sum(), names={"other " + name: Tensor(1.0, requires_grad=True)}).svg()
    seen = words(svg)
    assert name in seen and "other " + name in seen
    assert "<script" not in svg


def test_a_name_may_be_empty_long_or_hold_control_characters():
    names = {"": leaf(1.0), "  ": leaf(1.0), "x" * 500: leaf(1.0), "two\nlines\x00\x1b\ud800": leaf(1.0)}
    seen = words(draw(leaf(1.0, name="w") * 2.0, names=names).svg())
    assert "x" * 57 + "..." in seen
    assert any(text.startswith("two lines") for text in seen)


def test_files_are_written_whole_in_the_format_of_the_suffix(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no `dot` program: pygraphviz lays out
    picture = draw(small_network()[0])
    starts = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph"}
    for suffix, start in starts.items():
        path = picture.save(tmp_path / f"picture.{suffix}")
        assert path == tmp_path / f"picture.{suffix}"
        assert path.read_bytes().startswith(start)
    assert picture.save(str(tmp_path / "UPPER.SVG")).exists()
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf, \.dot; got 'picture\.jpeg'"):
        picture.save(tmp_path / "picture.jpeg")
    assert len(list(tmp_path.iterdir())) == 5


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "picture.svg"
    path.write_text("old")
    picture = draw(leaf(1.0) * 2.0)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        picture.save(path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_the_dot_program_is_used_where_there_is_one(monkeypatch):
    graphviz = importlib.import_module("graphviz")
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(graphviz.Source, "pipe", lambda self, **how: f"{how['format']} of {self.source[:7]}".encode())
    assert draw(leaf(1.0) * 2.0).svg() == "svg of digraph"


def test_a_notebook_shows_svg():
    picture = draw(leaf(1.0) * 2.0)
    bundle = picture._repr_mimebundle_()
    assert "<svg" in bundle["image/svg+xml"] and bundle["text/plain"] == repr(picture)
    assert "<svg" in picture._repr_svg_()


def test_without_a_renderer_errors_and_notebooks_name_the_extra(tmp_path, monkeypatch):
    without_renderers(monkeypatch, "pygraphviz")
    picture = draw(leaf(1.0) * 2.0)
    with pytest.raises(RendererError, match=r"pip install plaingrad\[pictures\]"):
        picture.svg()
    text = picture._repr_mimebundle_()["text/plain"]
    assert "plaingrad[pictures]" in text and "digraph" in text
    assert picture._repr_svg_() is None
    assert picture.save(tmp_path / "picture.dot").exists()


def test_without_the_graphviz_package_too(monkeypatch):
    without_renderers(monkeypatch, "pygraphviz", "graphviz")
    picture = draw(leaf(1.0) * 2.0)
    with pytest.raises(ImportError, match=r"pip install plaingrad\[pictures\]"):
        picture.save("picture.dot")
    assert "plaingrad[pictures]" in picture._repr_mimebundle_()["text/plain"]
    assert picture._repr_svg_() is None


def test_importing_and_watching_need_numpy_alone():
    code = (
        "import sys; sys.modules['graphviz'] = sys.modules['pygraphviz'] = None; import autograd\n"
        "x = autograd.Tensor(2.0, requires_grad=True)\n"
        "with autograd.watch(): loss = x * x; loss.backward()\n"
        "print(autograd.draw(loss))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "<picture of multiply: 2 boxes, 2 arrows>"


def test_source_is_the_dot_text_of_the_snapshot():
    picture = draw(leaf(1.0, 2.0).sum(), rankdir="TB")
    assert picture.source == to_dot(picture.snapshot, rankdir="TB")
    assert "rankdir=TB" in picture.source
    assert autograd.draw is draw
