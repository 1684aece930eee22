"""Pictures of large graphs, their text and files, and errors when no renderer is installed."""

from __future__ import annotations

import importlib
import subprocess
import sys

import numpy as np
import pytest

import autograd
from autograd import Tensor, draw, watch
from autograd.drawing import RendererError
from autograd.drawing.array_summary import summarise
from autograd.drawing.dot import to_dot
from graphs import boxes, leaf, small_network, without_renderers, words

# ---- large graphs


def long_chain(n):
    x = y = leaf(1.0, name="x")
    for _ in range(n // 2):
        y = y * 1.00001 + 0.5
    return x, y


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand_ops_folds_and_says_so():
    x, loss = long_chain(100_000)
    picture = draw(loss, run_backward=True)
    found = boxes(picture)
    assert len(picture.snapshot.boxes) <= 300
    folded = next(box for box in picture.snapshot.boxes if box.kind == "folded")
    shown = sum(box.kind in ("op", "loss") for box in picture.snapshot.boxes)
    assert folded.title == f"{100_000 - shown:,} ops"
    assert any(line.endswith(" multiply") for line in folded.notes)
    assert "boxes, into one; use max_nodes= to see more" in picture.source
    loss.backward()
    assert found["x"].gradient == summarise(x.grad.data)
    assert any(line == folded.title for line in words(picture.svg()))


@pytest.mark.slow
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
    with pytest.raises(ValueError, match=r"\.svg, \.png, \.pdf, \.dot, \.html; got 'picture\.jpeg'"):
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


def test_the_dot_program_is_used_if_installed(monkeypatch):
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
    assert picture._repr_mimebundle_()["text/html"] == picture.page()._repr_html_()
    assert picture._repr_svg_() is None
    assert picture.save(tmp_path / "picture.dot").exists()


def test_without_the_graphviz_package_too(monkeypatch):
    without_renderers(monkeypatch, "pygraphviz", "graphviz")
    picture = draw(leaf(1.0) * 2.0)
    with pytest.raises(ImportError, match=r"pip install plaingrad\[pictures\]"):
        picture.save("picture.dot")
    assert "plaingrad[pictures]" in picture._repr_mimebundle_()["text/plain"]
    assert "<iframe" in picture._repr_mimebundle_()["text/html"]
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
